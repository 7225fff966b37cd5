"""The wheel that the machines install, the prices that are promised, and failures told in words."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from meerkat_cloud_burst.burst import files, prices, release, wanted
from meerkat_cloud_burst.burst.progress import failure
from meerkat_cloud_burst.settings import BurstSettings, MoneySettings, ThresholdSettings
from meerkat_contract.errors import UsageError


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> release.Release:
    """From the checkout."""
    return release.prepare(tmp_path_factory.mktemp("built"))


def test_the_wheel_carries_what_deploy_and_machines_need(built: release.Release) -> None:
    names = set(zipfile.ZipFile(built.wheel).namelist())
    for name in ("template.yaml", "image-builder.yaml", "cloud-worker.txt", "meerkat-cloud-worker.service"):
        assert f"meerkat_cloud_burst/{name}" in names
    assert built.wheel_key == f"{built.folder}/{built.wheel.name}"
    assert built.lock_key == f"{built.folder}/requirements.txt"
    assert files.lock().read_text() == (files.checkout() or Path()).joinpath(
        "requirements/cloud-worker.txt"
    ).read_text(encoding="utf-8")


def test_the_same_meerkat_lies_at_the_same_place(built: release.Release, tmp_path: Path) -> None:
    assert release.prepare(tmp_path).folder == built.folder
    other = tmp_path / built.wheel.name.replace("0.1.0", "0.1.1")
    other.write_bytes(built.wheel.read_bytes() + b"\n")
    assert release.Release.of(other, built.lock).folder != built.folder


def test_what_is_installed_is_packed_again(built: release.Release, tmp_path: Path) -> None:
    site = tmp_path / "site"
    before = zipfile.ZipFile(built.wheel)
    before.extractall(site)
    (info,) = site.glob("meerkat_home-*.dist-info")
    (info / "INSTALLER").write_text("pip\n")
    (info / "direct_url.json").write_text('{"url": "file:///home/ada/meerkat"}')
    with (info / "RECORD").open("a") as record:  # as pip leaves it
        record.write(f"../../../bin/meerkat,,\n{info.name}/INSTALLER,,\n{info.name}/direct_url.json,,\n")
        record.write("meerkat_cli/__pycache__/main.cpython-311.pyc,,\n")
    packed = release.pack(PathDistribution(info), tmp_path)
    after = zipfile.ZipFile(packed)
    assert packed.name == built.wheel.name
    assert set(before.namelist()) == set(after.namelist())
    for name in after.namelist():
        if not name.endswith("/RECORD"):
            assert before.read(name) == after.read(name), name
    # pip believes each file's hash in RECORD, or says what it does not believe.
    target = ("--target", str(tmp_path / "target"), "--no-compile", "--no-deps", "--no-index")
    command = [sys.executable, "-m", "pip", "-q", "install", *target, str(packed)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if "No module named pip" in done.stderr:
        pytest.skip("pip is not installed here")
    assert done.returncode == 0, done.stderr


def test_no_wheel(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no wheel"):
        release.prepare(tmp_path, wheel=tmp_path / "meerkat.tar.gz")


def test_the_machine_may_cost_what_address_and_disk_leave() -> None:
    settings = BurstSettings()
    assert prices.most_for_a_machine(settings) + prices.ADDRESS + prices.DISK == pytest.approx(
        settings.money.instance_hour
    )
    least = prices.ON_DEMAND + prices.ADDRESS + prices.DISK
    prices.check_on_demand(BurstSettings(money=MoneySettings(instance_hour=least)))
    with pytest.raises(UsageError, match="on demand"):
        prices.check_on_demand(BurstSettings(money=MoneySettings(instance_hour=least - 0.001)))


@pytest.mark.parametrize(
    ("stack", "wrong"),
    [
        ({"MaxPrice": "0.0285", "Purchase": "spot"}, ""),
        ({"MaxPrice": "0.0286", "Purchase": "spot"}, "up to $0.0286 an hour"),
        ({"MaxPrice": "0.0100", "Purchase": "on-demand"}, "on demand"),
    ],
)
def test_a_stack_that_may_pay_more_than_the_ledger_books(stack: dict[str, str], wrong: str) -> None:
    assert wrong in prices.unbooked(BurstSettings(), stack)
    assert bool(prices.unbooked(BurstSettings(), stack)) == bool(wrong)


def test_the_default_price_is_the_one_of_the_template() -> None:
    text = files.template().read_text()
    default = text.partition("  MaxPrice:\n")[2].partition('Default: "')[2].partition('"')[0]
    assert float(default) == prices.most_for_a_machine(BurstSettings())


def test_what_follows_from_the_settings(built: release.Release) -> None:
    rule = BurstSettings(policy=ThresholdSettings(), max_instances=5)
    given = wanted.parameters(rule, built, "tiny", {"Darknet": "yes"})
    assert set(given) == {*wanted.MANAGED, "Darknet"}
    assert (given["MaxInstances"], given["IdleGrace"]) == ("5", "0")
    assert set(given) <= set(wanted.template_parameters())


@pytest.mark.parametrize(
    ("reason", "cause", "says"),
    [
        (
            "User: arn:aws:iam::1:user/a is not authorized to perform: iam:CreateRole on resource: x",
            "permission",
            "iam:CreateRole",
        ),
        ("The maximum number of VPCs has been reached. (VpcLimitExceeded)", "quota", "Service Quotas"),
        ("Something new", "other", "type the same command again"),
    ],
)
def test_a_failed_stack_is_told_by_its_first_cause(reason: str, cause: str, says: str) -> None:
    error = failure("meerkat-burst", "ROLLBACK_COMPLETE", [("Network", reason), ("Role", "later")])
    assert error.cause == cause
    assert "Network failed" in str(error)
    assert says in str(error)


def test_a_failed_stack_without_a_word() -> None:
    assert "ROLLBACK_COMPLETE" in str(failure("meerkat-burst", "ROLLBACK_COMPLETE", []))

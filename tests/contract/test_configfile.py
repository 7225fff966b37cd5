"""meerkat.yaml: every problem at once, with its place; nothing in a broken file escapes as another error."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel

from meerkat_contract import configfile
from meerkat_contract.configfile import ConfigurationError
from meerkat_contract.connection import BrokerSettings
from meerkat_contract.ids import Name


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Retention(Strict):
    days: int = Field(14, ge=1)
    gigabytes: float = 10


class Hub(Strict):
    http_port: int = 8480
    retention: Retention = Retention()
    title: str | None = None


class Camera(Strict):
    source: str
    label: str | None = None


class Device(Strict):
    label: str | None = None
    cameras: dict[Name, Camera] = {}
    sizes: list[int] = []


class Devices(RootModel[dict[Name, Device]]):
    pass


SECTIONS: dict[str, type[BaseModel]] = {"hub": Hub, "devices": Devices}

GOOD = """\
# a house
devices:
  porch:
    label: Porch
    cameras: {front: {source: "rtsp://10.0.0.5/live", label: Front door}}
    sizes: [1, 2]
hub:
  http_port: 8481
  retention: {days: 7}
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes) -> Path:
        path = Path("meerkat.yaml")
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        configfile.load(path, sections=SECTIONS)
    assert caught.value.exit_status == 2
    found = [str(problem) for problem in caught.value.problems]
    assert all(text in str(caught.value) for text in found)
    return found


def test_a_good_file_gives_every_section(write) -> None:
    found = configfile.load(write(GOOD), sections=SECTIONS)
    hub, devices = found["hub"], found["devices"]
    assert isinstance(hub, Hub)
    assert isinstance(devices, Devices)
    assert (hub.http_port, hub.retention.days, hub.retention.gigabytes) == (8481, 7, 10)
    assert devices.root["porch"].cameras["front"].label == "Front door"


def test_a_brokers_address_is_checked(write) -> None:
    path = write("broker:\n  url: htp://house\n")
    with pytest.raises(
        ConfigurationError, match=r"yaml:2:8: broker.url: htp://… is not the address of an MQTT"
    ):
        configfile.load(path, sections={"broker": BrokerSettings})


def test_sections_that_are_left_out_or_empty_have_their_defaults(write) -> None:
    found = configfile.load(write("hub:\n"), sections=SECTIONS)
    assert found["hub"] == Hub()
    assert found["devices"] == Devices({})


def test_all_problems_are_reported_in_the_order_of_the_file(write) -> None:
    path = write(
        """\
devices:
  porch:
    lable: Porch
    cameras:
      front: {label: 12}
      Front Door: {source: x}
    sizes: [1, two]
hub:
  retention:
    days: 0
    gigabits: 3
hubb: {}
"""
    )
    assert problems(path) == [
        "meerkat.yaml:3:5: devices.porch.lable: there is no such field (did you mean 'label'?)",
        "meerkat.yaml:5:7: devices.porch.cameras.front.source: is required",
        "meerkat.yaml:5:22: devices.porch.cameras.front.label: "
        "input should be a valid string; put the value in quotes",
        "meerkat.yaml:6:7: devices.porch.cameras.Front Door: cannot be a name; write front-door",
        "meerkat.yaml:7:16: devices.porch.sizes[1]: "
        "input should be a valid integer, unable to parse string as an integer",
        "meerkat.yaml:10:11: hub.retention.days: input should be greater than or equal to 1",
        "meerkat.yaml:11:5: hub.retention.gigabits: there is no such field (did you mean 'gigabytes'?)",
        "meerkat.yaml:12:1: hubb: there is no such section (did you mean 'hub'?)",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "meerkat.yaml:1:1: is empty"),
        ("# only a comment\n", "meerkat.yaml:1:1: is empty"),
        ("- hub\n", "meerkat.yaml:1:1: is not a mapping"),
        ("hub\n", "meerkat.yaml:1:1: is not a mapping"),
        ("hub:\n\thttp_port: 1\n", "meerkat.yaml:2:1: a tab stands here"),
        ("hub: {http_port: 1\n", "meerkat.yaml:2:1: "),
        ("hub: [unclosed\ndevices: {}\n", "meerkat.yaml:2:"),
        (
            'hub:\n  title: "a\n  more: b\n',
            "meerkat.yaml:4:1: found unexpected end of stream (while scanning a quoted scalar, "
            "begun in line 2)",
        ),
        (
            "cameras: {}\n",
            "meerkat.yaml:1:1: cameras: there is no such section; cameras stand below",
        ),
        ("mqtt: {}\n", "meerkat.yaml:1:1: mqtt: there is no such section; the section is called broker"),
        (
            "devices: {porch: {cameras: {front: 'rtsp://u:pw@c/1'}}}\n",
            "meerkat.yaml:1:36: devices.porch.cameras.front: write its fields here, such as {source: …}, or",
        ),
        ("hub: {}\nhub: {}\n", "meerkat.yaml:2:1: hub: is given twice, first in line 1"),
        ("hub: 3\n", "meerkat.yaml:1:6: hub: write its fields here"),
        ("devices: {porch: &a {label: *a}}\n", "meerkat.yaml:1:18: refers to itself"),
        ("hub: !!python/object:os.system {}\n", "meerkat.yaml:1:6: "),
        ("{{a: 1}: 2}: 3\n", "meerkat.yaml:1:1: a list or a mapping cannot be a name"),
        ("hub: {}\n---\nhub: {}\n", "meerkat.yaml:2:1: "),
        (b"hub:\n  title: \xff\n", "meerkat.yaml:2:10: is not UTF-8 text"),
        (b"hub:\n  title: \x00\n", "meerkat.yaml: is not YAML"),
        ("[" * 5000, "meerkat.yaml: is nested too deeply"),
        ("x" * 1_000_001, "meerkat.yaml: is larger than"),
    ],
)
def test_broken_files_are_named_with_their_place(write, text: str | bytes, expected: str) -> None:
    assert problems(write(text))[0].startswith(expected)


def test_aliases_cannot_blow_the_file_up(write) -> None:
    lines = ["a0: &a0 [1, 2]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "aliases counted" in problems(write("\n".join(lines)))[0]


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in problems(tmp_path / "absent.yaml")[0]
    assert "cannot be read: Is a directory" in problems(tmp_path)[0]


def test_yaml_is_version_1_2(write) -> None:
    path = write("devices:\n  porch: {label: no, cameras: {a: {source: 12:30}, b: {source: 2026-11-20}}}\n")
    porch = configfile.load(path, sections=SECTIONS)["devices"].root["porch"]  # type: ignore[attr-defined]
    assert (porch.label, porch.cameras["a"].source, porch.cameras["b"].source) == (
        "no",
        "12:30",
        "2026-11-20",
    )


def test_variables_override_single_values(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEERKAT__HUB__RETENTION__DAYS", "3")
    monkeypatch.setenv("MEERKAT__HUB__TITLE", "42")
    monkeypatch.setenv("MEERKAT__HUB__HTTP_PORT", "")
    monkeypatch.setenv("MEERKAT__DEVICES__PORCH__CAMERAS__FRONT__SOURCE", "0")
    monkeypatch.setenv("MEERKAT__DEVICES__PORCH__SIZES", "[4, 5]")
    found = configfile.load(write(GOOD), sections=SECTIONS)
    hub, porch = found["hub"], found["devices"].root["porch"]  # type: ignore[attr-defined]
    assert hub == Hub(http_port=8481, retention=Retention(days=3), title="42")
    assert porch.cameras["front"] == Camera(source="0", label="Front door")
    assert porch.sizes == [4, 5]


def test_wrong_variables_are_named_themselves(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEERKAT__HUB__RETENTION__DAYS", "many")
    monkeypatch.setenv("MEERKAT__HUB__RETENTOIN__DAYS", "3")
    monkeypatch.setenv("MEERKAT__HUBB__TITLE", "x")
    monkeypatch.setenv("MEERKAT__HUB__HTTP_PORT__NUMBER", "x")
    monkeypatch.setenv("MEERKAT__HUB", "x")
    found = problems(write(GOOD))
    assert found == [
        "MEERKAT__HUB: write it as MEERKAT__SECTION__FIELD",
        "MEERKAT__HUBB__TITLE: there is no section 'hubb' (did you mean 'hub'?)",
        "MEERKAT__HUB__HTTP_PORT__NUMBER: hub.http_port: has no fields that could be set",
        "MEERKAT__HUB__RETENTION__DAYS: hub.retention.days: "
        "input should be a valid integer, unable to parse string as an integer",
        "MEERKAT__HUB__RETENTOIN__DAYS: hub.retentoin: there is no such field (did you mean 'retention'?)",
    ]


def test_a_secret_never_appears_in_a_message(write) -> None:
    assert not any(
        "hunter2" in text for text in problems(write("hub: {http_port: hunter2, title: [hunter2]}\n"))
    )


def test_section_reads_only_its_own(write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = write("hub: {http_port: 9000}\nworker: {nonsense: 1}\n")
    assert configfile.section(path, "hub", Hub).http_port == 9000
    assert configfile.section(None, "hub", Hub).http_port == 9000, "./meerkat.yaml is found"
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text("hub: {http_port: 9001}\n")
    monkeypatch.setenv("MEERKAT_CONFIG", str(elsewhere))
    assert configfile.section(None, "hub", Hub).http_port == 9001
    assert configfile.section(path, "hub", Hub).http_port == 9000
    monkeypatch.delenv("MEERKAT_CONFIG")
    path.unlink()
    assert configfile.section(None, "hub", Hub) == Hub()
    monkeypatch.setenv("MEERKAT__HUB__HTTP_PORT", "x")
    with pytest.raises(ConfigurationError, match=r"MEERKAT__HUB__HTTP_PORT: hub\.http_port: "):
        configfile.section(None, "hub", Hub)


mutations = st.lists(
    st.tuples(
        st.integers(0, len(GOOD)),
        st.integers(0, 12),
        st.one_of(st.sampled_from(list("\t\n:{}[],&*!|>%@`'\"#- ?~\0\x85")), st.text(max_size=4)),
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutations)
def test_no_mutation_raises_anything_but_a_configuration_error(tmp_path: Path, edits) -> None:
    text = GOOD
    for position, length, new in edits:
        text = text[:position] + new + text[position + length :]
    path = tmp_path / "mutated.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(ConfigurationError):
        configfile.load(path, sections=SECTIONS)

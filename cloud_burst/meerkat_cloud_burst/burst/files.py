"""The files that the cloud is made of: in the package where it is installed, in a checkout elsewhere."""

from __future__ import annotations

from pathlib import Path

from meerkat_contract.errors import MeerkatError

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parents[1]


def template() -> Path:
    return _find("template.yaml", "cloud_burst/template.yaml")


def lock() -> Path:
    """What a cloud worker installs, with versions and hashes."""
    return _find("cloud-worker.txt", "requirements/cloud-worker.txt")


def checkout() -> Path | None:
    """The root of the checkout that this is run from, or None where Meerkat is installed."""
    project = _CHECKOUT / "pyproject.toml"
    try:
        return _CHECKOUT if 'name = "meerkat-home"' in project.read_text(encoding="utf-8") else None
    except OSError:
        return None


def _find(installed: str, in_checkout: str) -> Path:
    for path in (_PACKAGE / installed, _CHECKOUT / in_checkout):
        if path.is_file():
            return path
    raise MeerkatError(
        f"{installed} is not part of this installation",
        where=str(_PACKAGE),
        remedy="Install Meerkat again: pip install --force-reinstall 'meerkat-home[cloud]'",
    )

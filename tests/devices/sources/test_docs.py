"""What the pages about cameras and posted pictures show can be written into meerkat.yaml."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meerkat_contract import configfile

HOW_TO = Path(__file__).resolve().parents[3] / "docs" / "how-to"
EXAMPLES = [
    (page, text)
    for page in ("network-cameras", "websensor")
    for text in re.findall(r"```yaml\n(.*?)```", (HOW_TO / f"{page}.md").read_text(), re.DOTALL)
]


@pytest.mark.parametrize(("page", "text"), EXAMPLES)
def test_every_example_is_good(page: str, text: str, tmp_path: Path) -> None:
    if text.startswith(" "):  # the inside of a camera
        text = "devices:\n  pi:\n    cameras:\n      yard:\n" + text
    file = tmp_path / "meerkat.yaml"
    file.write_text(text)
    configfile.load(file)


def test_every_page_has_examples() -> None:
    assert [page for page, _ in EXAMPLES].count("network-cameras") == 3
    assert [page for page, _ in EXAMPLES].count("websensor") == 2

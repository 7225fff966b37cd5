"""`meerkat simulate e1` and `e2` as a person meets them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from meerkat_contract.errors import StorageError, UsageError
from meerkat_experiments.simulate_command import simulate

QUICK_E1 = ("e1", "--seeds", "2", "--nodes", "2", "--interest", "50")
QUICK_E2 = ("e2", "--messages", "40", "--capacities", "60/30/10")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(simulate, arguments, catch_exceptions=False)


def test_the_help_shows_table_3() -> None:
    said = run("e1", "--help").output
    for expected in ("[default: 20.0]", "[default: 40.0]", "[default: 100.0]", "[default: 3000.0]"):
        assert expected in said


def test_e1_prints_the_parameters_the_paper_and_ours() -> None:
    said = run(*QUICK_E1).output
    for expected in ("100 Mbit/s", "MWT up to 245 ms", "lower bound", "ect*", "pull 1 (paper)"):
        assert expected in said
    assert "within 2 % (or 1 ms) of the lower bound in the row." in said
    assert "the load is 1, a lucky run" in said


def test_e1_as_json() -> None:
    content = json.loads(run(*QUICK_E1, "--json").output)
    assert content["parameters"]["flo_fps"] == 20
    (case,) = content["cases"]
    assert (case["interest"], case["flo_nodes"]) == (0.5, 2)
    assert case["rules"]["ect*"]["mwt_ms"] == case["bound"]["mwt_ms"]
    assert case["rules"]["ect*"]["holds"] is True
    assert (case["paper"], case["verdict"][:13]) == ("MWT up to 245 ms", "the load is 1")


def test_parameters_of_the_command_line_count() -> None:
    content = json.loads(run(*QUICK_E1, "--delay", "10", "--decision", "0", "--json").output)
    assert content["parameters"]["delay"] == 0.01
    case = content["cases"][0]
    assert case["bound"]["mwt_ms"]["median"] >= 25 + 50 + 3 * 14
    assert case["paper"] is case["verdict"] is None, "the paper says nothing of these"


@pytest.mark.parametrize(
    ("flag", "value"), [("--message", "-1"), ("--decision", "nan"), ("--bandwidth", "0"), ("--time", "inf")]
)
def test_an_impossible_value_is_told_by_its_option_as_it_was_typed(flag: str, value: str) -> None:
    with pytest.raises(UsageError, match=rf"^{flag}: {value} is not a possible value\. Give ") as told:
        run("e2", flag, value)
    assert told.value.exit_status == 2


def test_links_that_are_too_slow_for_any_hub_are_told_as_such() -> None:
    with pytest.raises(UsageError, match="Simulate a higher --bandwidth"):
        run("e1", "--bandwidth", "0.1", "--seeds", "1", "--nodes", "1", "--interest", "100")


@pytest.mark.parametrize("options", [("--bandwidth", "10"), ("--capacities", "500/20")])
def test_a_link_slower_than_a_node_is_simulated_too(options: tuple[str, str]) -> None:
    content = json.loads(run("e2", "--messages", "40", *options, "--json").output)
    ratios = [batch["ratio"] for batch in content["batches"]]
    assert min(ratios) >= 1
    assert next(b["ratio"] for b in content["batches"] if b["rule"] == "ect*") < 1.2


def test_e2_prints_the_table_and_the_golden_figures() -> None:
    said = run(*QUICK_E2).output
    for expected in ("round robin 1640 ms", "33 % faster", "static weights", "24/12/4"):
        assert expected in said


def test_e2_as_json() -> None:
    content = json.loads(run(*QUICK_E2, "--json").output)
    assert {batch["rule"] for batch in content["batches"]} >= {"ect*", "round robin"}
    assert len(content["golden"]) == 6


@pytest.mark.parametrize("text", ["60", "60/0/10", "a/b", "60//10"])
def test_what_is_no_set_of_nodes_is_said(text: str) -> None:
    if text == "60":
        assert json.loads(run("e2", "--messages", "5", "--capacities", text, "--json").output)
        return
    with pytest.raises(UsageError, match="no set of nodes"):
        run("e2", "--capacities", text)


def test_figures_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    first = json.loads(run(*QUICK_E1, "--json", "--figures", str(tmp_path / "new")).output)["figures"]
    second = json.loads(run(*QUICK_E2, "--json", "--figures", str(tmp_path / "new")).output)["figures"]
    assert [Path(name).name for name in first + second] == [f"figure-{n}.png" for n in (7, 8, 9, 10)]
    for name in first + second:
        assert Path(name).read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_remedy_is_said_before_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"meerkat-home\[experiments\]"):
        run("e1", "--figures", "anywhere")


@pytest.mark.parametrize("command", ["e1", "e2"])
def test_a_folder_that_cannot_be_written_is_said_before_the_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(f"meerkat_experiments.paper.{command}.run", lambda *_, **__: pytest.fail("it ran"))
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        run(command, "--figures", str(tmp_path / "file"))


def test_no_legend_covers_a_bar_and_the_papers_figures_are_drawn_in(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    from meerkat_experiments.paper import e1, e2, figures
    from meerkat_experiments.paper.parameters import Parameters
    from meerkat_experiments.paper.rules import OURS, RULES

    drawn: dict[str, Figure] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save", lambda figure, folder, name: drawn.setdefault(name, figure))
        parameters, rules = Parameters(), {OURS: RULES[OURS]}
        cases = list(e1.run(parameters, [(0.25, 1), (0.25, 2)], 2, rules))
        figures.draw_e1(tmp_path, parameters, cases, OURS, RULES[OURS])
        figures.draw_e2(tmp_path, list(e2.run(parameters, [(60, 30, 10)], [100], rules)))
    for name, figure in drawn.items():
        assert all(axis.get_legend() is None for axis in figure.axes), name
    words = {
        name: [text.get_text() for legend in figure.legends for text in legend.get_texts()]
        for name, figure in drawn.items()
    }
    assert words["figure-8.png"] == [OURS, "the paper says"]
    assert words["figure-9.png"] == [OURS]
    assert words["figure-10.png"] == [OURS, "the paper says"]
    (panel,) = drawn["figure-7.png"].axes
    assert panel.get_title().endswith("the paper: 200 ms with 1 FLO")
    assert words["figure-7.png"] == ["1 FLO", "2 FLO", "the paper says"]


def test_a_time_without_any_image_is_said() -> None:
    with pytest.raises(UsageError, match="no frame"):
        run("e1", "--seeds", "1", "--time", "50", "--interest", "0.0001")

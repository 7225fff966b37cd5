"""A meter's year: rendered pictures with faults, through the reader and the networks, into the history.

    python benchmarks/meter_year.py [--seeds 0 1 2] [--hours 8760] [--plot year.png]

Of each seed, another meter: what was believed, what was wrong, whether the total is exact at the end. The
plot shows the truth, what was accepted and what was not (of the last seed).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT / "tests"), str(_ROOT / "training")]

from meerkat_training.faces.year import Year  # noqa: E402
from meter_support.rendered_year import Lived, live  # noqa: E402

COLUMNS = (
    "seed", "pictures", "accepted", "held", "implausible", "unreadable", "good, not accepted",
    "wrong > 1 L, at once", "in the end", "worst", "slow to recover", "of all unspoilt", "total off by",
    "reading",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--hours", type=int, default=8760)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for seed in options.seeds:
        lived = live(Year(seed, hours=options.hours), tell=_tell if sys.stderr.isatty() else None)
        print(f"| {' | '.join(told(seed, lived))} |", flush=True)
    if options.plot:
        draw(lived, options.plot)
        print(options.plot)


def told(seed: int, lived: Lived) -> list[str]:
    moments = lived.year.plan.moments
    count = Counter(lived.row(moment.number).verdict for moment in moments)
    good = [moment for moment in moments if not moment.fault]
    wasted = sum(lived.row(moment.number).verdict != "accepted" for moment in good)
    return [
        str(seed),
        str(len(moments)),
        *(str(count[name]) for name in ("accepted", "held", "implausible", "unreadable")),
        f"{wasted} ({wasted / len(good):.1%})",
        str(len(lived.wrong_at_once)),
        str(len(lived.wrong)),
        f"{max(lived.wrong, default=0) * 1000:.1f} L",
        str(len(lived.stuck)),
        str(len(lived.waiting)),
        f"{lived.total_error * 1000:.2f} L (step {lived.year.step * 1000:g} L)",
        f"{lived.reading_seconds / len(moments) * 1000:.1f} ms",
    ]


def draw(lived: Lived, path: Path) -> None:
    """Truth, accepted and not accepted; below, by how much the accepted ones are off."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    moments = lived.year.plan.moments
    figure, (above, below) = pyplot.subplots(2, 1, sharex=True, figsize=(13, 8), height_ratios=(3, 1))
    above.plot([m.at for m in moments], [m.shown for m in moments], color="0.7", linewidth=3, label="truth")
    for verdict, colour, size in (
        ("accepted", "tab:green", 2),
        ("held", "tab:orange", 10),
        ("implausible", "tab:red", 14),
    ):
        chosen = [m for m in moments if lived.row(m.number).verdict == verdict]
        values = [lived.row(m.number).value for m in chosen]
        above.scatter([m.at for m in chosen], values, s=size, color=colour, label=verdict, zorder=3)
    above.set_yscale("symlog")
    above.set_ylabel("m³")
    above.legend()
    accepted = [m for m in moments if lived.row(m.number).verdict == "accepted"]
    off = [lived.error(m.number) * 1000 for m in accepted]
    below.scatter([m.at for m in accepted], off, s=3, color="tab:green")
    below.set_ylabel("off by, L")
    figure.tight_layout()
    figure.savefig(path)


def _tell(count: int) -> None:
    if count % 100 == 0:
        print(f"\r{count} pictures", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

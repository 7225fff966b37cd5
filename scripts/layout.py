"""The layout's two rules: component folders are no packages, and no source file is long.

With an `__init__.py`, our `homeassistant/` would hide Home Assistant's own package from whoever runs
both. A long file has more than one reason to change.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPONENTS = ("contract", "devices", "hub", "cloud_burst", "homeassistant")
OTHERS = ("tests", "benchmarks", "scripts", "training")
LONGEST = 450


def problems(root: Path) -> list[str]:
    found = [
        f"{name}/__init__.py: a component's folder is not a package; remove the file"
        for name in COMPONENTS
        if (root / name / "__init__.py").exists()
    ]
    for name in (*COMPONENTS, *OTHERS):
        for file in sorted((root / name).rglob("*.py")):
            lines = len(file.read_text().splitlines())
            if lines > LONGEST:
                found.append(f"{file.relative_to(root)}: {lines} lines, more than {LONGEST}; split it")
    return found


if __name__ == "__main__":
    for problem in (found := problems(ROOT)):
        print(problem, file=sys.stderr)
    sys.exit(1 if found else 0)

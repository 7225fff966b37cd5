"""Opens one Edge TPU and says what came of it: `python -m meerkat_inference.coral_probe LIBRARY DEVICE`.

A process of its own, since a library that was built for another runtime takes down the one that loads it.
Prints one line of JSON: {"ok": …, "what": …, "remedy": …}.
"""

from __future__ import annotations

import json
import sys

from meerkat_contract.errors import ModelError

from .engines import litert
from .opening import installed


def main() -> None:
    library, device = sys.argv[1:]
    kind = "litert" if installed("litert") else "tflite_runtime"
    what, remedy = "", ""
    try:
        # Held for the moment: letting it go closes the device.
        delegate = litert.load_edge_tpu(litert.runtime(kind), device, library)
        del delegate
    except ModelError as error:
        what, remedy = f"{error.where}: {error.what}" if error.where else error.what, error.remedy
    print(json.dumps({"ok": not what, "what": what, "remedy": remedy}), flush=True)


if __name__ == "__main__":
    main()

"""What kind of machine this is: a Raspberry Pi can run 32 bits on a 64-bit processor, and even on a 64-bit
kernel, and then none of the libraries for pictures can be had."""

from __future__ import annotations

import platform
import sys

from meerkat_contract.errors import UsageError


def need_64_bits(largest: int | None = None) -> None:
    """Raises UsageError on a 32-bit Python. `largest` stands in for `sys.maxsize`."""
    if (sys.maxsize if largest is None else largest) > 2**32:
        return
    kernel = platform.machine()
    although = (
        f", although the kernel ({kernel}) is a 64-bit one" if kernel.endswith("64") else f" ({kernel})"
    )
    raise UsageError(
        f"this system's programs are 32-bit{although}; there is no OpenCV and no PyAV for it",
        where="meerkat device",
        remedy="Write the 64-bit Raspberry Pi OS to the SD card: it runs on every Pi from the 3 and the "
        "Zero 2 W on",
    )

"""A detector on a Coral, in a process of its own.

An Edge TPU library that was built for another runtime ends the process that loads it, and a stick that is
pulled out may hang it. The device records on: the error is told, and the process is started again.

    device ── height, width (uint32 each), pixels ──▶ python -m …frames.coral_eyes TASK DEVICE LIBRARY
           ◀── a line of JSON: {"info": …}, then {"found": …} or {"error": …} for each picture ──
"""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any

from meerkat_contract.errors import MeerkatError, ModelError
from meerkat_contract.messages import ModelInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from meerkat_inference.detector import Found

BEGIN_SECONDS = 60.0
"""A stick that gets its firmware, and a Pi that loads a model from its card, take their time."""

LOOK_SECONDS = 10.0
"""Hundreds of times what a picture takes; a stick without power answers never."""

_SIZE = struct.Struct("<II")


class CoralDetector:
    """A `Detector`; used by one thread. Raises ModelError when its process does not begin or answer."""

    def __init__(self, task: str, device: str, library: str) -> None:
        self._where = f"Edge TPU {device}"
        self._command = [sys.executable, "-P", "-m", __name__, task, device, library]
        self._process: subprocess.Popen[bytes] | None = None
        self._info = ModelInfo(name=task)
        self._begin()

    @property
    def info(self) -> ModelInfo:
        return self._info

    def detect(self, picture: NDArray[np.uint8]) -> list[Found]:
        import numpy as np

        from meerkat_inference.detector import Found

        process = self._process or self._begin()
        assert process.stdin is not None
        height, width = picture.shape[:2]
        self._send(process.stdin, _SIZE.pack(height, width))
        self._send(process.stdin, np.ascontiguousarray(picture).data.cast("B"))
        found = self._answer(process, LOOK_SECONDS)["found"]
        return [Found(label, score, (x, y, w, h)) for label, score, (x, y, w, h) in found]

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    _close(pipe)

    def _begin(self) -> subprocess.Popen[bytes]:
        process = self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        answer = self._answer(process, BEGIN_SECONDS)
        self._info = ModelInfo.model_validate(answer["info"])
        return process

    def _send(self, pipe: IO[bytes], data: bytes | memoryview) -> None:
        """A pipe holds 64 kB: the rest of a picture waits until the process takes it, but not for ever."""
        rest = memoryview(data)
        while rest:
            if not select.select([], [pipe], [], LOOK_SECONDS)[1]:
                raise self._gave_up(f"takes no picture within {LOOK_SECONDS:g} s")
            try:
                rest = rest[os.write(pipe.fileno(), rest) :]
            except OSError:
                raise self._gave_up("its process has ended") from None

    def _answer(self, process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
        """The next line. Raises ModelError; the process is ended unless the error is its own word."""
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        if not ready:
            raise self._gave_up(f"no answer within {seconds:g} s")
        line = process.stdout.readline()
        if not line:
            raise self._gave_up("its process has ended")
        answer: dict[str, Any] = json.loads(line)
        if error := answer.get("error"):
            if process.poll() is not None or "info" not in answer:
                self.close()
            raise ModelError(error["what"], where=error["where"] or self._where, remedy=error["remedy"])
        return answer

    def _gave_up(self, what: str) -> ModelError:
        self.close()
        return ModelError(
            what,
            where=self._where,
            remedy="Is it plugged in, with enough power? Does its libedgetpu fit this runtime? Or write "
            "frames.coral: off, and the processor looks",
        )


def _close(pipe: Any) -> None:
    try:
        pipe.close()
    except BrokenPipeError:  # what was still to be written is for nobody
        return


def main() -> None:
    """The process: one picture after another, until its input ends."""
    import numpy as np

    from meerkat_inference.loading import load_detector

    task, device, library = sys.argv[1:]
    try:
        detector = load_detector(
            task=task, device=device, library=library, tried=True, log=lambda _line: None
        )
    except MeerkatError as error:
        _say({"error": {"what": error.what, "where": error.where, "remedy": error.remedy}})
        return
    _say({"info": json.loads(detector.info.to_json())})
    stream = sys.stdin.buffer
    while len(head := stream.read(_SIZE.size)) == _SIZE.size:
        height, width = _SIZE.unpack(head)
        pixels = stream.read(height * width * 3)
        if len(pixels) < height * width * 3:
            return
        try:
            found = detector.detect(np.frombuffer(pixels, np.uint8).reshape(height, width, 3))
        except MeerkatError as error:
            _say({"error": {"what": error.what, "where": error.where, "remedy": error.remedy}, "info": True})
            continue
        _say({"found": [[one.label, float(one.score), [float(n) for n in one.box]] for one in found]})


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

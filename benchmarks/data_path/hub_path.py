"""The hub between the ends: it takes the C program for a device and for a worker."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from run_hub import CAMERAS

from meerkat_contract.connection import Connection
from meerkat_contract.ids import new_id
from meerkat_contract.messages import CameraInfo, DeviceInfo, ModelInfo, TaskInfo, WorkerState
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import DeviceTopic, HubTopic, WorkerTopic, WorkflowTopic
from support.wait import wait_for

FRAMES, CLIPS = "meerkat/device/porch/cam%/frame", "meerkat/device/porch/cam0/clip"
JOBS, RESULTS = "meerkat/worker/one/jobs", "meerkat/worker/one/results"


def jpeg(size: int) -> bytes:
    """A picture, filled up behind its end to `size` bytes."""
    import cv2
    import numpy as np

    made, data = cv2.imencode(".jpg", np.full((480, 640, 3), 127, np.uint8))
    assert made
    assert len(data) <= size
    return data.tobytes() + bytes(size - len(data))


def clip(size: int) -> bytes:
    """A video of half a second, filled up with a `free` box to `size` bytes."""
    import av
    import numpy as np

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((240, 320, 3), 127, np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    left = size - len(file.getvalue())
    assert left >= 8
    return file.getvalue() + left.to_bytes(4, "big") + b"free" + bytes(left - 8)


@contextmanager
def running_hub(connection: Connection, folder: Path, *, qos: int) -> Iterator[tuple[int, str]]:
    """Its process id, and the incarnation of the worker that it knows. QoS 0: frames; 1: clips."""
    words = [sys.executable, str(Path(__file__).with_name("run_hub.py")), str(connection.port), str(folder)]
    session = Session(connection, client_id="stage")
    said: dict[str, bytes] = {}

    def hear(message: Incoming) -> None:
        if not message.retain:  # an earlier hub of this run said that
            said[message.topic] = message.payload

    session.subscribe(HubTopic("availability"), hear)
    session.subscribe(WorkflowTopic("watch", "state"), hear)
    session.start()
    session.wait_subscribed(10)
    incarnation = new_id()
    hub = subprocess.Popen([*words, str(qos)])
    try:
        wait_for(lambda: said.get(str(HubTopic("availability"))) == b"online", seconds=30)
        cameras = tuple(CameraInfo(name=f"cam{number}") for number in range(CAMERAS))
        info = DeviceInfo(device="porch", cameras=cameras)
        session.publish(DeviceTopic("porch", "info"), info.to_json(), qos=1, retain=True).wait(10)
        task = TaskInfo(
            task="detect_faces" if qos == 0 else "detect_objects",
            model=ModelInfo(name="bench"),
            frames_per_second=100_000,
        )
        state = WorkerState(
            worker="one", incarnation=incarnation, online=True, tasks=(task,), window=64, serving=task.task
        )
        session.publish(WorkerTopic("one", "state"), state.to_json(), qos=1, retain=True).wait(10)
        if qos == 0:
            topic = str(WorkflowTopic("watch", "state"))
            wait_for(lambda: b'"running"' in said.get(topic, b""), seconds=30)
        yield hub.pid, incarnation
    finally:
        hub.terminate()
        hub.wait(20)
        for topic in (DeviceTopic("porch", "info"), WorkerTopic("one", "state")):
            session.publish(topic, b"", qos=1, retain=True).wait(10)
        session.stop()

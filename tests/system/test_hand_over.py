"""The last camera of the page is removed while the hub is away: nothing that was recorded is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub_support.bus_house import BusHouse
from meerkat_cli import added
from meerkat_cli.plan import MEERKAT
from meerkat_cli.supervisor import Output, ProcessSpec, Supervisor
from meerkat_contract.added_cameras import AddedCameras, unsent, write_cameras
from meerkat_contract.ids import new_id
from meerkat_contract.messages import DeviceInfo
from meerkat_contract.metadata import Metadata
from meerkat_devices.outbox.outbox import Outbox
from meerkat_hub.adapters.queries import Filter, Queries
from support.broker import Mosquitto
from support.http_camera import HttpCamera
from support.media import make_clip
from support.processes import quiet_models


class House(BusHouse):
    """With what `meerkat up` does for the cameras of its page."""

    def __init__(self, broker: Mosquitto, folder: Path) -> None:
        super().__init__(broker, folder)
        self.data = folder
        self.stream = io.StringIO()
        argv = (*MEERKAT, "device", "--name", "home", "--config", str(self.file), "--data", str(folder))
        env = {**quiet_models(folder), "MEERKAT_BROKER": broker.connection.secret_url}
        self.spec = ProcessSpec("home", argv, 0, env=env)
        self.supervisor = Supervisor([], Output(self.stream, colour=False))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        output = Output(self.stream, colour=False)
        follower = asyncio.create_task(added.follow(self.file, self.supervisor, output, self.spec, demo=()))
        task = asyncio.create_task(self.supervisor.run(stop))
        try:
            yield
        finally:
            stop.set()
            async with asyncio.timeout(10):
                await task
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)

    @property
    def runs(self) -> bool:
        return any(child.process for child in self.supervisor._children)

    @property
    def word(self) -> bytes:
        return self.retained.get("meerkat/device/home/availability", b"")

    @property
    def cameras(self) -> list[str] | None:
        """As the device tells them."""
        told = self.retained.get("meerkat/device/home/info")
        return None if told is None else [one.name for one in DeviceInfo.model_validate_json(told).cameras]

    def records(self, folder: Path, *names: str) -> list[str]:
        """What the device recorded while nobody took it."""
        outbox = Outbox(self.data / "devices" / "home" / "outbox", max_bytes=10**9, refused_bytes=10**6)
        video, ids = make_clip(folder / "clip.mp4", seconds=1).read_bytes(), []
        for name in names:
            at = datetime.now(UTC)
            about = Metadata(id=new_id(), captured_at=at, content_type="video/mp4", duration=1.0)
            outbox.add_bytes(f"meerkat/device/home/{name}/clip", about, video)
            ids.append(about.id)
        outbox.close()
        return ids


@pytest.fixture
def house(broker: Mosquitto, tmp_path: Path) -> Iterator[House]:
    made = House(broker, tmp_path)
    yield made
    made.bus.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(40):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("when", ["while it runs", "before a power cut"])
def test_what_lies_in_the_outbox_is_handed_over_before_the_device_ends(
    house: House, tmp_path: Path, when: str
) -> None:
    recorded = house.records(tmp_path, "yard", "yard", "door")

    async def scenario() -> None:
        with ExitStack() as ends:
            port = ends.enter_context(HttpCamera().serving())
            yard = {"yard": {"source": f"http://127.0.0.1:{port}/shot"}}
            write_cameras(house.file, AddedCameras("home", yard if when == "while it runs" else {}))
            async with house.running():
                if when == "while it runs":
                    await until(lambda: house.word == b"online" and house.cameras == ["yard"])
                    write_cameras(house.file, AddedCameras("home"))
                await until(lambda: house.word == b"online" and house.cameras == [])
                assert "3 recordings lie in its outbox" in house.stream.getvalue()
                assert unsent(house.data, "home") == 3, "there is no hub"

                hub = await asyncio.to_thread(house.hub, ends)
                await until(lambda: not unsent(house.data, "home"))
                clips = Queries(hub.engine).clips(Filter(device="home", limit=9))
                assert {clip.id for clip in clips} == set(recorded)
                await until(lambda: not house.runs)
                await until(lambda: "The hub has all that it had recorded" in house.stream.getvalue())
                await until(lambda: "home" not in hub.live.devices and "info" not in house.of("home"))

    asyncio.run(scenario())

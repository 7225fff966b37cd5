"""What the HTTP API costs: latency on a filled database, and streams at rest.

    python benchmarks/web.py [--events 20000] [--requests 200]

Prints a table of milliseconds per request (one client, loopback, connection kept open), then the
server's CPU and memory with nobody listening and with pages listening.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from hub_support.core_driver import track
from hub_support.web_house import NOW, WebHouse
from meerkat_hub.adapters import schema as db
from meerkat_hub.adapters.live import Change
from support.usage import usage

CLIP = bytes(1_000_000)
PAGES = 5


def fill(house: WebHouse, count: int) -> tuple[str, str]:
    """One event and clip made by the hub's own store, and `count` copies of their rows."""
    clip = house.clip(payload=CLIP, tracks=(track(step=0.05),) * 3)
    event = house.event(clip)
    with house.hub.engine.begin() as connection:
        for table, original, time_of in (
            (db.recordings, clip, "started_at"),
            (db.clips, clip, "captured_at"),
            (db.events, event, "start_time"),
        ):
            row = dict(connection.execute(table.select().where(table.c.id == original)).one()._mapping)
            for first in range(0, count, 1000):
                numbers = range(first, min(first + 1000, count))
                copies = [
                    {**row, "id": f"{n:08x}{original[8:]}", time_of: NOW - timedelta(seconds=10 * n)}
                    for n in numbers
                ]
                connection.execute(table.insert(), copies)
    return event, clip


def measure(client: httpx.Client, path: str, requests: int, headers: dict[str, str]) -> list[float]:
    taken = []
    for _ in range(requests):
        begin = time.perf_counter()
        client.get(path, headers=headers).raise_for_status()
        taken.append((time.perf_counter() - begin) * 1000)
    return sorted(taken)


def listen(base: str, ready: threading.Barrier, stack: ExitStack, heard: list[float]) -> None:
    response = stack.enter_context(httpx.stream("GET", f"{base}/api/stream", timeout=60))
    lines = response.iter_lines()
    next(lines)
    ready.wait()
    try:
        heard.extend(time.perf_counter() for line in lines if line.startswith("event: motion"))
    except (httpx.HTTPError, httpx.StreamError):
        return


def at_rest(seconds: float) -> str:
    before = usage_of_self()
    time.sleep(seconds)
    after = usage_of_self()
    return f"{(after[0] - before[0]) / seconds * 100:6.2f} % of a core, {after[1]:6.1f} MB resident"


def usage_of_self() -> tuple[float, float]:
    now = usage(os.getpid())
    assert now is not None
    return now.cpu, now.resident


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        house = WebHouse(Path(folder))
        event, clip = fill(house, options.events)
        with house.served() as web:
            print(f"{options.events} events and as many clips; {options.requests} requests each, ms")
            print(f"{'':46}{'median':>8}{'p95':>8}{'kB':>8}")
            for name, path, headers in (
                ("page", "/", {}),
                ("events, first page of 24", "/api/events?limit=24", {}),
                ("events of one label and camera", "/api/events?limit=24&label=person&camera=front", {}),
                ("events, a page far back", "/api/events?limit=24&before=2026-11-18T12:00:00Z", {}),
                ("one event", f"/api/events/{event}", {}),
                ("event picture", f"/api/events/{event}/picture", {}),
                ("one clip with tracks", f"/api/clips/{clip}", {}),
                ("clip, 64 kB of it", f"/api/clips/{clip}/media", {"Range": "bytes=500000-565535"}),
                ("clip, 1 MB whole", f"/api/clips/{clip}/media", {}),
                ("state", "/api/state", {}),
                ("metrics", "/metrics", {}),
                ("healthz", "/healthz", {}),
            ):
                if name == "healthz":
                    house.hub.live.connected = True
                taken = measure(web.http, path, options.requests, headers)
                size = len(web.http.get(path, headers=headers).content) / 1000
                p95 = taken[int(len(taken) * 0.95)]
                print(f"{name:46}{statistics.median(taken):8.2f}{p95:8.2f}{size:8.1f}")
            print(f"\nat rest, nobody listens{'':23}{at_rest(5)}")
            streams(house, web.base)
        house.close()


def streams(house: WebHouse, base: str) -> None:
    """Pages that listen: at rest, and how late they hear of a change."""
    heard: list[float] = []
    ready = threading.Barrier(PAGES + 1)
    with ExitStack() as stack:
        threads = [
            threading.Thread(target=listen, args=(base, ready, stack, heard), daemon=True)
            for _ in range(PAGES)
        ]
        for thread in threads:
            thread.start()
        ready.wait()
        print(f"at rest, {PAGES} pages listen{'':23}{at_rest(5)}")
        late = []
        for _ in range(100):
            heard.clear()
            begin = time.perf_counter()
            house.hub.live.tell(Change("motion", "porch", "front", b"ON"))
            while len(heard) < PAGES:
                time.sleep(0.0005)
            late.append((max(heard) - begin) * 1000)
        late.sort()
        print(f"a change to all {PAGES} pages{'':24}{statistics.median(late):6.2f} ms, p95 {late[95]:.2f} ms")


if __name__ == "__main__":
    main()

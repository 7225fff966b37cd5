"""What a message costs on its way through the hub's machine, against relays without decisions.

    python benchmarks/data_path.py [--rounds N] [--messages N] [--size BYTES] [--paths a,b]
        [--qos 0|1] [--plain-broker] [--json]

One real Mosquitto on loopback, started as `meerkat up` starts it; with `--plain-broker` without the settings
for its memory, which it then may take anew for each message. A small C program is both ends, so that they
do not limit, and between them lies nothing (`direct`), a relay in C (`c`), one that keeps what it passes on
as safely as the hub does (`c-durable`: QoS 1 only, needs SQLite's header: apt-get install libsqlite3-dev),
our session (`paho`, `own`: published in the handler; `thread`: published by another thread), the hub itself
(`hub`: frames of a workflow at QoS 0, clips of motion at QoS 1, dealt to a worker that answers at once), or
the paper's broker (`imagezmq`, without Mosquitto). In every round each path is measured once, so that all of
them meet the same machine; the figures are medians. Latencies are taken at 80 and 200 messages a second.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "data_path"))

import hub_path

from meerkat_cli import private_broker
from support.broker import Mosquitto, free_port

HERE = Path(__file__).resolve().parent / "data_path"
WINDOW = 32
"""Messages under way between the ends when it goes as fast as it can."""
RATES = (80.0, 200.0)
LATENCY_SECONDS = 4.0
SETTINGS = ("allow_anonymous true", "max_queued_messages 0")
PATHS = ("direct", "c", "c-durable", "imagezmq", "paho", "own", "thread", "hub")
ONE_QOS = {"imagezmq": 0, "c-durable": 1}
"""Of the paths that have only one."""

IN, OUT = "meerkat/device/porch/front/frame", "meerkat/worker/one/jobs"


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. `relay` and `broker`: microseconds of CPU time a message; None without one."""

    rate: float
    relay: float | None
    broker: float | None
    ends: float
    p50: float
    p99: float
    """Milliseconds."""
    lost: int


@dataclass(frozen=True, slots=True)
class Stage:
    """What lies between the ends: its process, and the topics on either side of it."""

    relay: int | None
    source: str
    sink: str
    answers: tuple[str, ...] = ()
    """Where a worker answers, and its incarnation."""


class Bench:
    def __init__(self, folder: Path, size: int, *, plain_broker: bool = False) -> None:
        self.size = size
        self.c = folder / "relay"
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise SystemExit("no C compiler: apt-get install gcc")
        subprocess.run([compiler, "-O2", "-o", str(self.c), str(HERE / "relay.c")], check=True)
        self.durable = folder / "durable"
        words = [compiler, "-O2", "-o", str(self.durable), str(HERE / "durable.c"), "-lsqlite3"]
        made = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
        self.no_durable = "" if made.returncode == 0 else made.stderr.strip()
        """Why there is no durable relay in C."""
        environment = {} if plain_broker else private_broker.ENVIRONMENT
        self.broker = Mosquitto(folder / "broker", settings=SETTINGS, environment=environment)
        self._folder = folder
        self._files: dict[int, tuple[Path, str]] = {}
        for qos, data, kind in (
            (0, hub_path.jpeg(size), "image/jpeg"),
            (1, hub_path.clip(size), "video/mp4"),
        ):
            path = folder / f"payload-{qos}"
            path.write_bytes(data)
            self._files[qos] = (path, kind)
        self._stages = 0

    def measure(self, path: str, qos: int, count: int, rate: float) -> Sample:
        """`rate` messages a second, or as fast as they go when it is 0."""
        if path == "imagezmq":
            return self._imagezmq(count, rate)
        with self._relay(path, qos) as stage:
            pids = [stage.relay, self.broker.process.pid if self.broker.process else None]
            before = [_cpu(pid) for pid in pids]
            words = [
                str(self.c),
                "ends",
                str(self.broker.port),
                stage.source,
                stage.sink,
                str(qos),
                str(count),
            ]
            file, kind = self._files[qos]
            words += [str(file), kind, str(rate), str(WINDOW), *stage.answers]
            run = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False, timeout=120)
            after = [_cpu(pid) for pid in pids]
        return _sample(json.loads(run.stdout), count, before, after)

    @contextmanager
    def _relay(self, path: str, qos: int) -> Iterator[Stage]:
        port = str(self.broker.port)
        if path == "direct":
            yield Stage(None, IN, IN)
            return
        self._stages += 1
        folder = self._folder / f"{path}-{self._stages}"
        if path == "c-durable":
            folder.mkdir()
            with _program([str(self.durable), port, IN, OUT, str(folder)]) as pid:
                yield Stage(pid, IN, OUT)
            shutil.rmtree(folder)
            return
        if path == "hub":
            source = hub_path.CLIPS if qos else hub_path.FRAMES
            with hub_path.running_hub(self.broker.connection, folder, qos=qos) as (hub, incarnation):
                yield Stage(hub, source, hub_path.JOBS, (hub_path.RESULTS, incarnation))
            shutil.rmtree(folder)
            return
        script = [sys.executable, str(HERE / "session_relay.py"), port, IN, OUT, str(qos)]
        words = {
            "c": [str(self.c), "relay", port, IN, OUT, str(qos)],
            "paho": [*script, "paho", "handler"],
            "own": [*script, "own", "handler"],
            "thread": [*script, "own", "thread"],
        }[path]
        with _program(words) as pid:
            yield Stage(pid, IN, OUT)

    def _imagezmq(self, count: int, rate: float) -> Sample:
        peers = [sys.executable, str(HERE / "zmq_peers.py")]
        first, second = str(free_port()), str(free_port())
        sink = subprocess.Popen([*peers, "sink", second, str(count)], stdout=subprocess.PIPE, text=True)
        try:
            assert sink.stdout is not None
            sink.stdout.readline()
            with _program([*peers, "relay", first, second]) as relay:
                before = [_cpu(relay), None]
                subprocess.run([*peers, "source", first, str(count), str(self.size), str(rate)], check=True)
                told = json.loads(sink.stdout.readline())
                after = [_cpu(relay), None]
        finally:
            sink.kill()
            sink.wait()
        return _sample(told, count, before, after)


def _sample(
    told: dict[str, float], count: int, before: list[float | None], after: list[float | None]
) -> Sample:
    spent = [
        None if a is None or b is None else (b - a) / count * 1e6 for a, b in zip(before, after, strict=True)
    ]
    return Sample(
        told["received"] / told["seconds"],
        spent[0],
        spent[1],
        told["cpu"] / count * 1e6,
        told["p50"] / 1e3,
        told["p99"] / 1e3,
        count - int(told["received"]),
    )


def _cpu(pid: int | None) -> float | None:
    """CPU seconds of a process, all its threads."""
    if pid is None:
        return None
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def _program(words: list[str]) -> Iterator[int]:
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise SystemExit(f"{words} did not start")
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


Case = tuple[str, int, float]
"""Path, QoS, and messages a second; 0: as fast as they go."""

Samples = dict[Case, list[Sample]]


def run(bench: Bench, cases: list[Case], rounds: int, count: int, console: Console) -> Samples:
    samples: Samples = {case: [] for case in cases}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("measuring", total=rounds * len(cases))
        for number in range(rounds):
            for case in cases if number % 2 == 0 else reversed(cases):
                path, qos, rate = case
                messages = int(rate * LATENCY_SECONDS) if rate else count
                samples[case].append(bench.measure(path, qos, messages, rate))
                progress.advance(task)
    return samples


def median(samples: list[Sample], name: str) -> float | None:
    values = [value for s in samples if (value := getattr(s, name)) is not None]
    return statistics.median(values) if values else None


def against(samples: Samples, path: str, qos: int, other: str) -> float | None:
    """The median over the rounds of this path's messages a second to the other's."""
    if (other, qos, 0.0) not in samples:
        return None
    pairs = zip(samples[path, qos, 0.0], samples[other, qos, 0.0], strict=True)
    return statistics.median(a.rate / b.rate for a, b in pairs)


def report(samples: Samples, size: int, console: Console) -> None:
    def text(value: float | None, form: str = ".0f") -> str:
        return "" if value is None else format(value, form)

    for qos, other in ((0, "imagezmq"), (1, "c-durable")):
        if not any(q == qos for _, q, _ in samples):
            continue
        table = Table(title=f"QoS {qos}, {size:,} bytes: as fast as it goes")
        for column in ("path", "messages/s", "of C", f"of {other}", "relay µs", "broker µs", "lost"):
            table.add_column(column, justify="right")
        slow = Table(title=f"QoS {qos}: latency beyond the direct path, ms")
        for column in ("path", *(f"{r:g}/s {p}" for r in RATES for p in ("p50", "p99")), "relay µs"):
            slow.add_column(column, justify="right")
        for path in (p for p, q, r in samples if q == qos and r == 0.0):
            found = samples[path, qos, 0.0]
            table.add_row(
                path,
                f"{median(found, 'rate'):,.0f}",
                text(against(samples, path, qos, "c"), ".2f"),
                text(against(samples, path, qos, other), ".2f"),
                text(median(found, "relay")),
                text(median(found, "broker")),
                str(sum(s.lost for s in found)),
            )
            cells = [f"{_added(samples, path, qos, r, p):.2f}" for r in RATES for p in ("p50", "p99")]
            slow.add_row(path, *cells, text(median(samples[path, qos, RATES[-1]], "relay")))
        console.print(table)
        console.print(slow)


def _added(samples: Samples, path: str, qos: int, rate: float, name: str) -> float:
    """Milliseconds beyond the direct path; those of the path itself where that is not measured."""
    mine = median(samples[path, qos, rate], name) or 0.0
    direct = samples.get(("direct", qos, rate))
    if path == "direct" or not direct:
        return mine
    return mine - (median(direct, name) or 0.0)


def as_json(samples: Samples) -> str:
    names = ("rate", "relay", "broker", "ends", "p50", "p99", "lost")
    return json.dumps(
        [
            {
                "path": path,
                "qos": qos,
                "at": rate,
                **{name: median(found, name) for name in names},
                "of_c": against(samples, path, qos, "c") if not rate else None,
                "of_imagezmq": against(samples, path, qos, "imagezmq") if not rate else None,
                "of_c_durable": against(samples, path, qos, "c-durable") if not rate else None,
            }
            for (path, qos, rate), found in samples.items()
        ],
        indent=1,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--size", type=int, default=50_000)
    parser.add_argument("--paths", default=",".join(PATHS))
    parser.add_argument("--qos", type=int, choices=(0, 1), help="one of them; both unless told")
    parser.add_argument("--plain-broker", action="store_true", help="start it without the product's settings")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    paths = options.paths.split(",")
    console = Console(stderr=options.json)
    with tempfile.TemporaryDirectory(prefix="meerkat-data-path-") as name:
        bench = Bench(Path(name), options.size, plain_broker=options.plain_broker)
        if bench.no_durable and "c-durable" in paths:
            console.print(f"c-durable is left out, it cannot be compiled: {bench.no_durable}")
            paths.remove("c-durable")
        bench.broker.start()
        qualities = (0, 1) if options.qos is None else (options.qos,)
        try:
            cases = [
                (p, q, r) for q in qualities for r in (0.0, *RATES) for p in paths if ONE_QOS.get(p, q) == q
            ]
            samples = run(bench, cases, options.rounds, options.messages, console)
        finally:
            bench.broker.stop()
    if options.json:
        print(as_json(samples))
    else:
        report(samples, options.size, console)


if __name__ == "__main__":
    main()

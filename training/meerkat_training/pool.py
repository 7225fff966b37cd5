"""A stock of renders that is renewed while the network trains: rendering costs more than learning.

Worker processes render chunk after chunk; each chunk that is done takes the place of the oldest. A
render is used `uses` times on average before it goes. Chunks are taken in their order, so one seed
gives one training whatever the machine.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from types import TracebackType
from typing import Self

import numpy as np

from .arrays import Bytes, Floats

Render = Callable[[int, int, int], tuple[Bytes, Floats]]
"""(n, seed, workers) → pictures (n, h, w, 3), positions (n,): meerkat_training.dataset.wheels or needles."""
CHUNK = 1024
FIRST = 16
"""Chunks to begin with."""


def _render(render: Render, n: int, seed: int) -> tuple[Bytes, Floats]:
    return render(n, seed, 1)


class Pool:
    """`size` renders, `uses` of each; `workers` processes make more, or `makers`. Use with `with`."""

    def __init__(
        self,
        render: Render,
        *,
        size: int,
        uses: float,
        workers: int,
        seed: int,
        makers: Executor | None = None,
    ) -> None:
        self._render, self._workers, self._uses = render, workers, uses
        self._seed = seed * 1_000_003
        self._next = self._replaced = 0
        self._chunks = max(1, size // CHUNK)
        self._waiting: deque[Future[tuple[Bytes, Floats]]] = deque()
        self._drawn = 0.0
        # Spawned: a fork would copy torch's threads in the middle of their work.
        self._makers = makers or ProcessPoolExecutor(workers, get_context("spawn"), initializer=_as_a_guest)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._makers.shutdown(wait=True, cancel_futures=True)

    @property
    def rendered(self) -> int:
        """How many renders were taken in so far."""
        return self._replaced * CHUNK

    def fill(self, progress: Callable[[float], None] = lambda _: None) -> None:
        """Render the first of the stock, which then grows to its size; call before `draw`."""
        first = self._take()
        self.pictures = np.empty((self._chunks * CHUNK, *first[0].shape[1:]), np.uint8)
        self.positions = np.empty(self._chunks * CHUNK, np.float32)
        self._put(*first)
        enough = min(self._chunks, FIRST)
        while self._replaced < enough:
            self._put(*self._take())
            progress(self._replaced / enough)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Bytes, Floats]:
        """A batch of `n`, after taking in as many new renders as it is time for. Waits for them."""
        self._drawn += n
        while self._drawn >= CHUNK * self._uses:
            self._drawn -= CHUNK * self._uses
            self._put(*self._take())
        chosen = rng.integers(0, min(self._replaced, self._chunks) * CHUNK, n)
        return self.pictures[chosen], self.positions[chosen]

    def _take(self) -> tuple[Bytes, Floats]:
        while len(self._waiting) < 3 * self._workers:
            seed = self._seed + self._next
            self._waiting.append(self._makers.submit(_render, self._render, CHUNK, seed))
            self._next += 1
        return self._waiting.popleft().result()

    def _put(self, pictures: Bytes, positions: Floats) -> None:
        start = self._replaced % self._chunks * CHUNK
        self.pictures[start : start + CHUNK] = pictures
        self.positions[start : start + CHUNK] = positions
        self._replaced += 1


def _as_a_guest() -> None:
    """One thread for each process: there are as many processes as there is room for."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import cv2

    cv2.setNumThreads(1)

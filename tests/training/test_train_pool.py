"""The stock of renders: deterministic, renewed at its pace, chunk by chunk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from meerkat_training.pool import CHUNK, Pool


def render(n: int, seed: int, workers: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Pictures of one pixel that hold their seed's last digits."""
    return np.full((n, 1, 1, 3), seed % 251, np.uint8), np.full(n, seed, np.float32)


def pool_of(chunks: int, uses: float, seed: int = 0) -> Pool:
    makers = ThreadPoolExecutor(1)
    return Pool(render, size=chunks * CHUNK, uses=uses, workers=1, seed=seed, makers=makers)


def test_renews_the_oldest_at_the_pace_of_use() -> None:
    rng = np.random.default_rng(1)
    with pool_of(2, uses=2) as pool:
        pool.fill()
        assert pool.rendered == 2 * CHUNK

        for _ in range(7):
            pool.draw(256, rng)
        assert pool.rendered == 2 * CHUNK
        _, positions = pool.draw(256, rng)  # 2048 shown: a chunk twice over

        assert pool.rendered == 3 * CHUNK
        assert set(positions) == {1, 2}


def test_grows_to_its_size_before_it_forgets() -> None:
    rng = np.random.default_rng(1)
    with pool_of(18, uses=0.25) as pool:
        pool.fill()
        assert pool.rendered == 16 * CHUNK
        _, positions = pool.draw(512, rng)

        assert pool.rendered == 18 * CHUNK
        assert set(positions) <= set(range(18))
        assert max(positions) > 15


def test_one_seed_gives_the_same_batches() -> None:
    drawn = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        with pool_of(1, uses=1, seed=3) as pool:
            pool.fill()
            drawn.append(np.concatenate([pool.draw(300, rng)[1] for _ in range(8)]))

    assert (drawn[0] == drawn[1]).all()
    assert len(set(drawn[0])) > 1

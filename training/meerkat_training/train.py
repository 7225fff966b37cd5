"""Train one network on a stock of renders that renews itself."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from meerkat_contract.errors import UsageError

from .arrays import Bytes, Floats
from .networks import SHAPES, build
from .pool import Pool, Render
from .targets import right, softmax, targets

VALIDATION_SEED = 900_000_000
"""Held-out renders come from seeds that no training reaches."""


COVERED = {"wheel": 0.12, "needle": 0.12, "segment": 0.0}
"""Share of pictures that lose a small part each time they are shown; of an 8, one segment makes a 9."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how: `minutes` of training or, when given, exactly `samples` pictures shown."""

    minutes: float = 25
    samples: int | None = None
    seed: int = 1
    batch: int = 256
    rate: float = 3e-3
    decay: float = 0.02
    warm_up: float = 0.03
    average: float = 0.999
    """Of how many steps the kept weights are a mean: 1 / (1 - average)."""
    stock: int = 131_072
    uses: float = 8
    workers: int = 1
    held_out: int = 4096
    looks: int = 20
    """How often the held-out renders are looked at; patience counts these."""
    patience: int = 6
    begin: Path | None = None
    """Weights of an earlier training (.pt) to go on from."""


@dataclass(slots=True)
class Trained:
    """The averaged network and how it came to be."""

    network: Any
    kind: str
    samples: int = 0
    renders: int = 0
    seconds: float = 0
    stopped_early: bool = False
    losses: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the held-out renders: cross entropy, share within 0.2, and how far the plan is."""

    done: float
    loss: float
    within: float
    samples: int
    per_second: float


def train(
    kind: str,
    render: Render,
    plan: Plan,
    *,
    extra: tuple[Bytes, Floats] | None = None,
    tell: Callable[[Look], None] = lambda _: None,
    filling: Callable[[float], None] = lambda _: None,
) -> Trained:
    """Train `kind` on what `render` draws; `extra` pictures of an owner make up one in eight shown.

    Stops early when the held-out loss has not fallen for `patience` looks. Equal seeds and `samples`
    give equal networks on one machine.
    """
    import torch

    # Threads that wait for each other beside busy processes halve the speed: leave each worker a core.
    torch.set_num_threads(max(1, (os.cpu_count() or 1) - plan.workers))
    torch.manual_seed(plan.seed)
    network = build(kind).to(memory_format=torch.channels_last)
    if plan.begin is not None:
        begin_with(network, torch.load(plan.begin, weights_only=True))
    result = Trained(deepcopy(network), kind)
    held_out = render(plan.held_out, VALIDATION_SEED + plan.seed, plan.workers)
    with Pool(render, size=plan.stock, uses=plan.uses, workers=plan.workers, seed=plan.seed) as pool:
        pool.fill(filling)
        _loop(network, result, pool, plan, held_out=held_out, extra=extra, tell=tell)
        result.renders = pool.rendered
    return result


def _loop(
    network: Any,
    result: Trained,
    pool: Pool,
    plan: Plan,
    *,
    held_out: tuple[Bytes, Floats],
    extra: tuple[Bytes, Floats] | None,
    tell: Callable[[Look], None],
) -> None:
    import torch

    rng = np.random.default_rng(plan.seed)
    generator = torch.Generator().manual_seed(plan.seed)
    optimiser = torch.optim.AdamW(network.parameters(), plan.rate, weight_decay=plan.decay)
    started = time.monotonic()
    best, waited, looked, step = math.inf, 0, 0, 0
    while (done := _done(plan, result.samples, time.monotonic() - started)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * schedule(done, plan.warm_up)
        pictures, positions = pool.draw(plan.batch, rng)
        if extra is not None:
            pictures, positions = _mixed(pictures, positions, extra, rng)
        wanted = targets(result.kind, positions)
        _step(network, optimiser, pictures, wanted, generator, covered=COVERED[result.kind])
        step += 1
        average(result.network, network, min(plan.average, 1 - 1 / (step + 1)))
        result.samples += plan.batch
        if done * plan.looks >= looked + 1:
            looked += 1
            loss, within = evaluate(result.network, held_out, result.kind)
            result.losses.append(loss)
            seconds = time.monotonic() - started
            tell(Look(done, loss, within, result.samples, result.samples / seconds))
            best, waited = (loss, 0) if loss < best - 1e-3 else (best, waited + 1)
            if waited >= plan.patience and done < 0.9:
                result.stopped_early = True
                break
    result.seconds = time.monotonic() - started
    result.network.eval()


def _done(plan: Plan, samples: int, seconds: float) -> float:
    if plan.samples is not None:
        return samples / plan.samples
    return seconds / (plan.minutes * 60)


def schedule(done: float, warm_up: float) -> float:
    """The learning rate's share of its peak after `done` 0..1 of the training: up, then half a cosine."""
    if done < warm_up:
        return max(done / warm_up, 0.01)
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))


def _step(
    network: Any, optimiser: Any, pictures: Bytes, wanted: Floats, generator: Any, *, covered: float
) -> None:
    import torch

    from .augment import augment

    network.train()
    batch = augment(tensor(pictures), generator, covered=covered).contiguous(
        memory_format=torch.channels_last
    )
    # bfloat16 doubles the speed where the processor knows it and costs nothing where it does not.
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(batch)
    loss = -(torch.from_numpy(wanted) * torch.log_softmax(logits.float(), 1)).sum(1).mean()
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimiser.step()


def tensor(pictures: Bytes) -> Any:
    """(n, h, w, 3) bytes → (n, 3, h, w) float32 of 0..1."""
    import torch

    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def average(kept: Any, network: Any, share: float) -> None:
    """Move the kept weights towards the trained ones; counters and statistics alike."""
    import torch

    with torch.no_grad():
        for old, new in zip(kept.state_dict().values(), network.state_dict().values(), strict=True):
            if old.dtype.is_floating_point:
                old.lerp_(new, 1 - share)
            else:
                old.copy_(new)


def _mixed(
    pictures: Bytes, positions: Floats, extra: tuple[Bytes, Floats], rng: np.random.Generator
) -> tuple[Bytes, Floats]:
    from .examples import vary

    share = len(pictures) // 8
    chosen = rng.integers(0, len(extra[1]), share)
    pictures, positions = pictures.copy(), positions.copy()
    pictures[:share] = vary(extra[0][chosen], rng)
    positions[:share] = extra[1][chosen]
    return pictures, positions


def begin_with(network: Any, weights: dict[str, Any]) -> None:
    """Take over all that fits: of another kind's weights, all but the last layer. Raises UsageError."""
    own = network.state_dict()
    same = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    if len(same) < len(own) - 2:
        raise UsageError(
            "these weights are of a network of another shape",
            where="--begin",
            remedy="Train from nothing, or check out the commit that they were trained at",
        )
    network.load_state_dict(same, strict=False)


def save(network: Any, path: Path) -> None:
    """Keep a network's weights for a later training to begin with."""
    import torch

    torch.save(network.state_dict(), path)


def predict(network: Any, pictures: Bytes) -> Floats:
    """(n, h, w, 3) bytes → (n, 101) logits (12 of a display) of the float network."""
    import torch

    network.eval()
    with torch.inference_mode():
        parts = [network(tensor(pictures[i : i + 512])).numpy() for i in range(0, len(pictures), 512)]
    return np.concatenate(parts)


def evaluate(network: Any, held_out: tuple[Bytes, Floats], kind: str) -> tuple[float, float]:
    """Cross entropy on held-out renders, and the share of those with a position that is found."""
    pictures, positions = held_out
    probabilities = softmax(predict(network, pictures))
    loss = float(-(targets(kind, positions) * np.log(probabilities + 1e-9)).sum(1).mean())
    return loss, right(kind, probabilities, positions)


def shape_of(kind: str) -> tuple[int, int]:
    """Height and width in pixels of the pictures that `kind` takes."""
    return SHAPES[kind].height, SHAPES[kind].width

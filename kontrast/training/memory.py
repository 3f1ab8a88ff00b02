"""Forecast of a step's peak memory, from one pass before the first step."""

import os
from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.core import containers
from kontrast.core.byte_size import size
from kontrast.losses.memory_forecast import forecast as plan_loss
from kontrast.losses.tile_weights import usual
from kontrast.training.learner import Batches, Learner
from kontrast.training.task_gradients import copies


@dataclass(frozen=True)
class Forecast:
    """Memory of a training step, in bytes.

    Attributes:
        parameters: Parameters, with gradients and two moments of the optimiser for trainable ones.
        activations: Tensors kept for backward.
        loss: Peak of the loss.
        device: Total memory of the device.
        tiles: How the loss is computed, if not in one piece; else "".
        tasks: Gradients of several tasks, kept at once.
    """

    parameters: int
    activations: int
    loss: int
    device: int
    tiles: str = ""
    tasks: int = 0

    @property
    def needed(self) -> int:
        """Bytes in total."""
        return self.parameters + self.activations + self.loss + self.tasks

    @property
    def words(self) -> str:
        """Forecast for the first screen."""
        words = f"forecast {_gigabytes(self.needed)} of {_gigabytes(self.device)} GB"
        each = f"gradients of the tasks {size(self.tasks)}" if self.tasks else ""
        return "; ".join(filter(None, (words, self.tiles, each)))


def forecast(
    learner: Learner, batches: Batches, passes: int | None, world: int = 1, *, whole: int | None = None
) -> Forecast:
    """Measures what autograd saves for a few rows and scales it to a whole step.

    The loss counts all of this rank's embeddings as anchors and all ranks' as candidates, the upper limit.

    Args:
        learner: Encoders and tasks; mode and running statistics stay.
        batches: Rows to measure with, of which at most 16 of a group are used.
        passes: Rows per pass of gradient caching; None for all at once.
        world: Number of processes. Default 1.
        whole: Rows of the real batches, if these are a part of them; None if they are the real ones.
    """
    most = max(map(len, batches.values()))
    rows, whole = min(most, 16), whole or most
    few = {group: batch[slice(0, rows)] for group, batch in batches.items()}
    kept: dict[int, int] = {}

    def note(t: Tensor) -> Tensor:
        kept[t.data_ptr()] = t.numel() * t.element_size()
        return t

    own = {p.data_ptr() for p in learner.parameters()}
    training = learner.training
    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t), torch.random.fork_rng(devices=[]):
        learner.eval().encoders.training_where_recomputed()  # eval keeps the running statistics
        found = learner(*containers.flattened(few))
        held = [out.z for outs in found.values() for out in outs.values()]
        del found
    learner.train(training)
    anchors = whole * len(held)
    loss, tiles = _loss(anchors, anchors * world, max(z.shape[-1] for z in held))
    del held
    activations = sum(n for at, n in kept.items() if at not in own) * min(whole, passes or whole) // max(rows, 1)
    learned = sum(p.numel() * p.element_size() for p in learner.parameters() if p.requires_grad)
    fixed = sum(p.numel() * p.element_size() for p in learner.parameters() if not p.requires_grad)
    device = capacity(next(iter(batches.values())).keys["id"].device)
    return Forecast(4 * learned + fixed, activations, loss, device, tiles, copies(learner, passes))


def _loss(anchors: int, candidates: int, width: int) -> tuple[int, str]:
    """Bytes and description of the loss; small ones, which fit one tile, are not measured."""
    if anchors * candidates <= usual(candidates):
        return 4 * 3 * anchors * candidates, ""
    plan = plan_loss(anchors, candidates, width)
    return plan.tiled, plan.words


def capacity(device: torch.device | None = None) -> int:
    """Total bytes of memory of a CUDA device, else of this machine."""
    if device is not None and device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gigabytes(n: int) -> str:
    return f"{n / 1e9:.1f}" if n < 1e10 else f"{n / 1e9:.0f}"

"""What a step will need: its peak memory, forecast from one pass before the first step."""

import os
from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.data.dataset.reader import Batch
from kontrast.losses.memory_forecast import forecast as plan_loss
from kontrast.losses.tile_weights import usual
from kontrast.methods.method import Method


@dataclass(frozen=True)
class Forecast:
    """Bytes: parameters with gradients and two moments of the optimiser, what backward keeps, the loss; the device's
    own. tiles: how the loss is computed, in words, where it is not in one piece.
    """

    parameters: int
    activations: int
    loss: int
    device: int
    tiles: str = ""

    @property
    def needed(self) -> int:
        """The sum."""
        return self.parameters + self.activations + self.loss

    @property
    def words(self) -> str:
        """For the first screen."""
        words = f"forecast {_gigabytes(self.needed)} of {_gigabytes(self.device)} GB"
        return f"{words}; {self.tiles}" if self.tiles else words


def forecast(method: Method, batch: Batch, passes: int | None, world: int = 1, *, whole: int | None = None) -> Forecast:
    """Measures what autograd saves in one pass over (a part of) the batch and scales it to what is held at once.

    whole: rows of the real batch, of which `batch` is a few; None: it is that itself.
    The loss is reckoned for all of this rank's embeddings as anchors and all ranks' as candidates, the most there is.
    """
    rows, whole = min(len(batch), 16), whole or len(batch)
    kept: dict[int, int] = {}

    def note(t: Tensor) -> Tensor:
        kept[t.data_ptr()] = t.numel() * t.element_size()
        return t

    own = {p.data_ptr() for p in method.parameters()}
    training = method.training
    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t), torch.random.fork_rng(devices=[]):
        method.eval().towers.training_where_recomputed()  # eval: running statistics stay
        held = method(batch[slice(0, rows)].views, batch[slice(0, rows)].keys)
    method.train(training)
    anchors = whole * len(held)
    loss, tiles = _loss(anchors, anchors * world, max(z.shape[1] for z in held.values()))
    del held
    activations = sum(n for at, n in kept.items() if at not in own) * min(whole, passes or whole) // max(rows, 1)
    learned = sum(p.numel() * p.element_size() for p in method.parameters() if p.requires_grad)
    fixed = sum(p.numel() * p.element_size() for p in method.parameters() if not p.requires_grad)
    return Forecast(4 * learned + fixed, activations, loss, capacity(batch.keys["id"].device), tiles)


def _loss(anchors: int, candidates: int, width: int) -> tuple[int, str]:
    """Bytes, and words where it is worth any; what fits into one tile is not worth measuring either."""
    if anchors * candidates <= usual(candidates):
        return 4 * 3 * anchors * candidates, ""
    plan = plan_loss(anchors, candidates, width)
    return plan.tiled, plan.words


def capacity(device: torch.device | None = None) -> int:
    """Bytes that a device has in all; of this machine's memory where none is named."""
    if device is not None and device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gigabytes(n: int) -> str:
    return f"{n / 1e9:.1f}" if n < 1e10 else f"{n / 1e9:.0f}"

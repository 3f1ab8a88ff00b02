"""What a step will need: its peak memory, forecast from one pass before the first step."""

import os
from dataclasses import dataclass

import torch
from torch import Tensor

from kontrast.data.batches import Batch
from kontrast.losses.contrast import TILE
from kontrast.methods.method import Method


@dataclass(frozen=True)
class Forecast:
    """Bytes: parameters with gradients and two moments of the optimiser, what backward keeps, one tile of the loss; the
    device's own."""

    parameters: int
    activations: int
    loss: int
    device: int

    @property
    def needed(self) -> int:
        """The sum."""
        return self.parameters + self.activations + self.loss

    @property
    def words(self) -> str:
        """For the first screen."""
        return f"forecast {_gigabytes(self.needed)} of {_gigabytes(self.device)} GB"


def forecast(method: Method, batch: Batch, passes: int | None) -> Forecast:
    """Measures what autograd saves in one pass over (a part of) the batch and scales it to what is held at once."""
    rows = min(len(batch), 16)
    kept: dict[int, int] = {}

    def note(t: Tensor) -> Tensor:
        kept[t.data_ptr()] = t.numel() * t.element_size()
        return t

    own = {p.data_ptr() for p in method.parameters()}
    training = method.training
    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t), torch.random.fork_rng(devices=[]):
        held = method.eval()(batch[slice(0, rows)].views, batch[slice(0, rows)].keys)  # eval: running statistics stay
    method.train(training)
    del held
    activations = (
        sum(n for at, n in kept.items() if at not in own) * min(len(batch), passes or len(batch)) // max(rows, 1)
    )
    learned = sum(p.numel() * p.element_size() for p in method.parameters() if p.requires_grad)
    fixed = sum(p.numel() * p.element_size() for p in method.parameters() if not p.requires_grad)
    return Forecast(4 * learned + fixed, activations, 4 * 3 * TILE, _capacity(batch.keys["id"].device))


def _capacity(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gigabytes(n: int) -> str:
    return f"{n / 1e9:.1f}" if n < 1e10 else f"{n / 1e9:.0f}"

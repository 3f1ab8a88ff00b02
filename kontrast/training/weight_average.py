"""Exponential moving average of the weights, which is evaluated, kept and served in their place."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

WARM = 10  # steps: early averages forget the random start as fast as averages over all steps would


class WeightAverage:
    """Average of the learned weights and of the running statistics beside them, updated after each step.

    Queues, momentum copies and frozen weights are not averaged: their current values go with the average.

    Args:
        module: Module whose weights are averaged; the average starts at its current weights.
        decay: Share of the old average that an update keeps, at least 0 and below 1; 0.999 averages over about 1,000
            steps. Early updates keep less, so that short runs do not keep their random start.

    Equation:
        a <- d_n a + (1 - d_n) w, d_n = min(decay, (1 + n) / (10 + n)) at update n = 0, 1, ...

    Reference:
        Polyak, Juditsky, SIAM J. Control and Optimization 1992; the rising decay is that of TensorFlow's
        ExponentialMovingAverage.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: tensor.detach().clone() for name, tensor in _averaged(module)}

    @torch.no_grad()
    def update(self, module: nn.Module, updates: int) -> None:
        """Moves the average towards the current weights.

        Args:
            module: The module, after its step.
            updates: Updates before this one.
        """
        kept = min(self.decay, (1 + updates) / (WARM + updates))
        for name, tensor in _averaged(module):
            self.tensors[name].mul_(kept).add_(tensor, alpha=1 - kept)

    def over(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """State of the module with the averages in place of what they average."""
        return {**state, **self.tensors}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores the averages, by name and laid out over the ranks as they are now."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])


def _averaged(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Learned parameters, and floating-point buffers of the modules that hold one: norms and their statistics."""
    for path, part in module.named_modules(remove_duplicate=False):
        learned = [(name, p) for name, p in part.named_parameters(recurse=False) if p.requires_grad]
        beside = [(name, b) for name, b in part.named_buffers(recurse=False) if learned and b.is_floating_point()]
        for name, tensor in (*learned, *beside):
            yield f"{path}.{name}" if path else name, tensor

"""Targeted supervised contrast: `KCL` plus a pull of each row towards its class's fixed target."""

from typing import ClassVar

import torch
from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.layers.targets import uniform_points
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class TSC(LossModule):
    """Targeted supervised contrast: `KCL` plus a pull of each row towards its class's fixed target.

    For long-tailed classes: the targets are points on the sphere as far apart as possible, so rare classes get as much
    room as frequent ones. They are made at construction (buffer `points`) and may be replaced.

    Args:
        num_classes: Number of classes C; labels are 0 to C - 1.
        dim: Width of the embeddings; with num_classes - 1 or more, all targets are equally far apart.
        k: Positives from the class per anchor; 6 as in the paper.
        strength: Weight of the target; 1 by default.
        temperature: Above 0; 0.1 by default.
        seed: Seed of the targets and of the draws.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over the rows with a known label (default), "sum", or "none" (one number per row, 0
            without a label).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D), labels (N,) and ids (N,), the sample of each row. Compared by cosine.

    Equation:
        L_i = D_i - mean_p S_ip + strength (D_i - S_it), D_i the log of the sum of e^S over all other rows and all
        targets, p the positives of `KCL`, t the target of i's class.

    Reference:
        Li et al. 2022, arXiv:2111.13998.

    Example:
        >>> loss = TSC(num_classes=3, dim=4)
        >>> bool(loss(torch.eye(4), torch.tensor([0, 0, 1, 2]), torch.arange(4)).isfinite())
        True
    """

    compared: ClassVar[int | None] = 1

    calls: Tensor
    points: Tensor

    def __init__(
        self,
        *,
        num_classes: int,
        dim: int,
        k: int = 6,
        strength: float = 1.0,
        temperature: float = 0.1,
        seed: int = 0,
        learnable: bool = False,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)
        self.k, self.strength, self.seed = k, strength, seed
        self.register_buffer("points", uniform_points(num_classes, dim, seed=seed))
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, z: Tensor, labels: Tensor, ids: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(
            lambda: F.tsc(
                z,
                labels,
                ids,
                self.points,
                k=self.k,
                strength=self.strength,
                temperature=self.temperature(),
                seed=self._draw(),
            )
        )

    def _draw(self) -> int:
        """The seed of this call: new in each training call, fixed in evaluation mode."""
        if self.training:
            self.calls += 1
        return self.seed + (int(self.calls) if self.training else 0)

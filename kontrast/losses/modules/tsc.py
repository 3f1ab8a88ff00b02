"""Targeted supervised contrast: KCL, and each row towards the target of its class, all targets far apart."""

from typing import ClassVar

import torch
from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.layers.targets import uniform_points
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class TSC(LossModule):
    """Targeted supervised contrast: KCL, and each row towards the target of its class, all targets far apart.

    For long tails. Targets are fixed points on the sphere, made when the module is; `points` may be replaced by others.

    Args:
        num_classes: Number of classes; labels are 0 to num_classes - 1.
        dim: Width of the embeddings; at least num_classes - 1 for targets that are all equally far apart.
        k: Positives of the class; 6 in the paper.
        strength: Weight of the target.
        temperature: Above 0.
        seed: Of targets and lots.
        learnable: Learn the temperature (a parameter `temperature.log_scale`, at most 100).
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D), labels (N,) and ids (N,), which name the sample of each row; compared by cosine.

    Equation:
        L_i = D_i - mean_p S_ip + strength (D_i - S_it), D_i the log of the sum of e^S over all rows and targets, t i's
        target.

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
        """(N, D), (N,) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(
            lambda: F.tsc(
                z,
                labels,
                ids,
                self.points,
                k=self.k,
                strength=self.strength,
                temperature=self.temperature(),
                seed=self._lot(),
            )
        )

    def _lot(self) -> int:
        """The number of this call, in training; none of them in evaluation."""
        if self.training:
            self.calls += 1
        return self.seed + (int(self.calls) if self.training else 0)

"""Triplet: each row is closer to its own label than to others, by a margin."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule

Mining = Literal["all", "semihard", "hard", "easy", "distance"]


class Triplet(LossModule):
    """Triplet: each row is closer to its own label than to others, by a margin.

    `mining` selects the triplets. Softmax losses (`SupCon`) usually learn faster.

    Args:
        margin: Margin in squared distance on the sphere; 0.2 as in FaceNet. The 0.05 of pytorch-metric-learning is in
            distance.
        mining: "all" (default); "semihard", for each positive pair the nearest negative that is farther away; "hard",
            each anchor's farthest positive and nearest negative; "easy", its nearest positive and all negatives;
            "distance", negatives drawn so that all distances occur equally often.
        soft: Use log(1 + e^x) in place of max(0, x); False by default.
        seed: Seed of the draws of "distance", which are redrawn in each call in training mode.
        reduction: "mean" over the triplets, those that cost nothing included (default); "sum"; or "none" (the sum of
            the triplets of each anchor).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        z (N, D) and labels (N,). Normalised here.

    Equation:
        L_ipn = max(0, d_ip - d_in + margin), d the squared distance of the unit vectors.

    Reference:
        Schroff et al. 2015, arXiv:1503.03832; hard: Hermans et al. 2017, arXiv:1703.07737; easy: Xuan et al. 2020,
        arXiv:1904.04370; distance: Wu et al. 2017, arXiv:1706.07567.

    Example:
        >>> round(Triplet(margin=0.2, mining="semihard")(torch.eye(4), torch.tensor([0, 0, 1, 1])).item(), 4)
        0.2
    """

    compared: ClassVar[int | None] = 1

    calls: Tensor

    def __init__(
        self,
        *,
        margin: float = 0.2,
        mining: Mining = "all",
        soft: bool = False,
        seed: int = 0,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.margin, self.soft, self.seed = margin, soft, seed
        self.mining: Mining = mining
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        return self.reduced(
            lambda: F.triplet(z, labels, margin=self.margin, triplets=self.mining, soft=self.soft, seed=self._draw())
        )

    def _draw(self) -> int:
        """The seed of this call: new in each training call, fixed in evaluation mode."""
        if self.training:
            self.calls += 1
        return self.seed + (int(self.calls) if self.training else 0)

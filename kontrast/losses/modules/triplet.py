"""Triplet: a row must be nearer to its own label than to others, by a margin."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule

Mining = Literal["all", "semihard", "hard", "easy", "distance"]


class Triplet(LossModule):
    """Triplet: a row must be nearer to its own label than to others, by a margin.

    `mining` says which triplets count. Softmax losses (`SupCon`) usually learn faster; this one needs few settings.

    Args:
        margin: In squared distance on the sphere; 0.2 as FaceNet. pytorch-metric-learning's 0.05 is in distance.
        mining: "all"; "semihard", for each positive pair the nearest negative that is farther; "hard", for each anchor
            its farthest positive and nearest negative; "easy", its nearest positive and all negatives; "distance",
            negatives drawn so that all distances are met equally often.
        soft: log(1 + e^x) in place of max(0, x).
        seed: Of the lots of "distance"; other ones each call in training.
        reduction: "mean" over triplets, those that cost nothing included; "sum" of them; or "none" (the sum of each
            anchor's).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        z (N, D) and labels (N,); put on the sphere.

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
        """(N, D) and (N,) -> a scalar; "none": (N,)."""
        return self.reduced(
            lambda: F.triplet(z, labels, margin=self.margin, triplets=self.mining, soft=self.soft, seed=self._lot())
        )

    def _lot(self) -> int:
        """The number of this call, in training; none of them in evaluation."""
        if self.training:
            self.calls += 1
        return self.seed + (int(self.calls) if self.training else 0)

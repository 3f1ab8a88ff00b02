"""SwAV: views are assigned to prototypes, all equally full, and each view predicts the other's assignment."""

from typing import ClassVar

from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.layers.prototypes import Prototypes
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SwAV(LossModule):
    """SwAV: views are assigned to prototypes, all equally full, and each view predicts the other's assignment.

    It takes the cosines of views to prototypes of one's own; with `dim` it holds the prototypes itself and takes
    embeddings.

    Args:
        dim: Width of the embeddings, if prototypes are held here (a parameter `prototypes.directions`).
        prototypes: Their number; 3,000 in the paper for ImageNet.
        assigned: How many views, from the first on, are assigned and predicted; small crops only predict.
        temperature: Above 0, of predictions; 0.1 in the paper.
        epsilon: Above 0, of assignments; 0.05 in the paper.
        iterations: Of Sinkhorn's balancing; 3 in the paper.
        reduction: "mean" over samples and pairs of views, "sum" of them, or "none" (the sum of each sample's).
        gather: Balance over the rows of all processes, where torch.distributed runs.

    Shape:
        Two or more views: (N, K) cosines to K prototypes, or (N, dim) embeddings.

    Equation:
        L = -sum_k q_k log softmax(scores / temperature)_k, q the balanced assignment of another view.

    Reference:
        Caron et al. 2020, arXiv:2006.09882.

    Example:
        >>> SwAV()(torch.eye(4), torch.eye(4))
        tensor(0.0001)
    """

    compared: ClassVar[int | None] = None

    def __init__(
        self,
        *,
        dim: int | None = None,
        prototypes: int = 512,
        assigned: int = 2,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.prototypes = None if dim is None else Prototypes(width=dim, prototypes=prototypes)
        self.assigned, self.temperature, self.epsilon, self.iterations = assigned, temperature, epsilon, iterations

    def forward(self, *views: Tensor) -> Tensor:
        """(N, K) or (N, dim), two or more -> a scalar; "none": (N,)."""
        if len(views) < 2:
            raise UserError(f"SwAV: {len(views)} views; expected two or more, each a tensor (N, K) or (N, dim).")
        scores = list(views) if self.prototypes is None else [self.prototypes(z) for z in views]
        return self.reduced(
            lambda: F.swav(
                scores,
                assigned=self.assigned,
                temperature=self.temperature,
                epsilon=self.epsilon,
                iterations=self.iterations,
            )
        )

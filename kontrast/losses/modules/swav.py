"""SwAV: views are assigned to equally full prototypes, and each predicts another's assignment."""

from typing import ClassVar

from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.layers.prototypes import Prototypes
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class SwAV(LossModule):
    """SwAV: views are assigned to equally full prototypes, and each predicts another's assignment.

    Needs no negatives. Takes cosines to prototypes of your own, or, with `dim`, embeddings that it compares with
    prototypes of its own.

    Args:
        dim: Width of the embeddings, for prototypes held here (parameter `prototypes.directions`); None (default): the
            inputs are cosines.
        prototypes: Number of prototypes held here; 512 by default, 3,000 in the paper for ImageNet.
        assigned: Number of views, from the first on, that are assigned and predicted; further ones (small crops) only
            predict. 2 by default.
        temperature: Above 0, of the predictions; 0.1 as in the paper.
        epsilon: Above 0, of the assignments; 0.05 as in the paper.
        iterations: Steps of the Sinkhorn algorithm, which balances the assignments; 3 as in the paper.
        reduction: "mean" over samples and pairs of views (default), "sum", or "none" (the sum of the pairs of each
            sample).
        gather: Balance over the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        Two or more tensors, one per view: (N, K) cosines to K prototypes, or (N, dim) embeddings.

    Raises:
        UserError: fewer than two views.

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
        """Returns the loss: a scalar; with "none" (N,)."""
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

"""VICReg: views agree, features keep their variance, different features are uncorrelated."""

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.losses.alignment.barlow_twins import features
from kontrast.losses.alignment_loss import AlignmentLoss, sides
from kontrast.losses.engine import dense, input_checks
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.pairwise.similarity_regression import SimilarityRegression
from kontrast.losses.relations.same_key import SameKey


class VICReg(AlignmentLoss):
    """VICReg: views agree, features keep their variance, different features are uncorrelated.

    Take it for views without labels if negatives are scarce, or for two branches that share no weights. `BarlowTwins`
    has one weight instead of three. The gradient of K grows with the cube of the features' size. Tiled on the feature
    axis. Needs the rows of all processes.

    Args:
        invariance: Weight of the mean squared error; 25 as in the paper and in lightly.
        variance: Weight of the variance term; 25 as in the paper and in lightly.
        covariance: Weight of the covariance term; 1 as in the paper and in lightly.

    Shape:
        Two views (N, D), not normalised, N at least 2 -> a term with count 1.

    Raises:
        UserError: A setting below 0, views that differ in shape, or a batch of 1.

    Equation:
        L = invariance mean (x - y)^2 + variance V + covariance (K(x) + K(y)), V the mean over both views and all
        features of relu(1 - sqrt(var + 1e-4)) (the authors' code; the paper's equation sums over views, twice V), K the
        sum of squared covariances of different features / D; variances are / (N - 1).

    Reference:
        Bardes, Ponce & LeCun 2022, arXiv:2105.04906.

    Example:
        >>> from kontrast.losses.engine.adapters import rows
        >>> one, two = rows(torch.eye(4)), rows(torch.eye(4), view=1)
        >>> round(VICReg()(one, two).value().item(), 4)  # equal views: variance and covariance alone
        12.5392
    """

    whole = True

    def __init__(self, *, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0) -> None:
        super().__init__()
        self.invariance = input_checks.number(invariance, "vicreg: invariance", least=0)
        self.variance = input_checks.number(variance, "vicreg: variance", least=0)
        self.covariance = input_checks.number(covariance, "vicreg: covariance", least=0)
        self.kernel, self.loss = Dot(), SimilarityRegression()

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """Computes the loss of the whole batch."""
        x, y = sides(self, one, two)
        if len(x) < 2:
            raise UserError(f"vicreg: a batch of {len(x)}, on all ranks together; a variance needs 2 or more.")
        flat = [F.relu(1 - (z.var(0) + 1e-4).sqrt()).mean() for z in (x, y)]
        both = self._covariance(x) + self._covariance(y)
        total = self.invariance * F.mse_loss(x, y) + self.variance * sum(flat) / 2 + self.covariance * both
        return LossTerm(total, torch.ones_like(total))

    def _covariance(self, z: Tensor) -> Tensor:
        z = (z - z.mean(0)) / (len(z) - 1) ** 0.5
        if z.shape[1] ** 2 <= dense.SMALL:
            with torch.autocast(z.device.type, enabled=False):
                return dense.off_squares(z.mT @ z)[1] / z.shape[1]
        rows = features(z, 0)  # a feature never meets itself, so every compared pair is a negative
        return contrast(rows, rows, SameKey("id"), loss=self.loss, kernel=self.kernel).total / z.shape[1]

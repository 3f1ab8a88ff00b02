"""DINO: a student predicts the sharpened, centred outputs of a teacher that is its own running mean."""

import torch
from torch import Tensor

from kontrast.core.ranks import Ranks
from kontrast.losses.clustering_loss import ClusteringLoss
from kontrast.losses.engine import input_checks


class DINO(ClusteringLoss):
    """Cross-entropy from softmax((t - c) / teacher_temperature) to softmax(s / temperature): Caron et al. 2021
    (arXiv:2104.14294).

    The centre c lives in layers/centre.py: give `targets` the scores it was taken off. Centring alone flattens,
    sharpening alone collapses; together they do neither.
    """

    def __init__(self, *, temperature: float = 0.1, teacher_temperature: float = 0.04) -> None:
        super().__init__()
        self.temperature = input_checks.temperature(temperature, "dino: temperature")
        self.teacher_temperature = input_checks.temperature(teacher_temperature, "dino: teacher_temperature")

    @torch.no_grad()
    def targets(self, scores: Tensor, ranks: Ranks) -> Tensor:
        """The teacher's distribution, from its centred scores."""
        wide = scores if scores.dtype == torch.float64 else scores.float()
        return (wide / self.teacher_temperature).softmax(-1)

"""DINO: a student predicts the sharpened, centred outputs of a moving-average teacher."""

import torch
from torch import Tensor

from kontrast.core.ranks import Ranks
from kontrast.losses.clustering_loss import ClusteringLoss
from kontrast.losses.engine import input_checks


class DINO(ClusteringLoss):
    """DINO: a student predicts the sharpened, centred outputs of a moving-average teacher.

    Take it for views of images with a Vision Transformer and a teacher that is the student's moving average. Centring
    alone flattens the outputs and sharpening alone collapses them; together they do neither. The centre lives in
    `layers.centre`: pass `targets` scores from which it is subtracted. For small convolutional networks `SwAV` or
    `InfoNCE` are easier to train.

    Args:
        temperature: Of the student, above 0; 0.1 as in the paper and in lightly.
        teacher_temperature: Of the teacher, above 0; 0.04 as in the paper's first epochs and in lightly's.

    Shape:
        Scores (B, K) of student and teacher -> a sum over B samples and its count B.

    Raises:
        UserError: A temperature is not above 0.

    Equation:
        L_i = -sum_k q_ik log softmax(s_i / temperature)_k, q_i = softmax((t_i - c) / teacher_temperature), c the
        centre.

    Reference:
        Caron et al. 2021, arXiv:2104.14294.

    Example:
        >>> loss, scores = DINO(temperature=1.0, teacher_temperature=1.0), torch.zeros(2, 4)
        >>> round(loss(scores, loss.targets(scores, Ranks())).value().item(), 4)  # log 4
        1.3863
    """

    def __init__(self, *, temperature: float = 0.1, teacher_temperature: float = 0.04) -> None:
        super().__init__()
        self.temperature = input_checks.temperature(temperature, "dino: temperature")
        self.teacher_temperature = input_checks.temperature(teacher_temperature, "dino: teacher_temperature")

    @torch.no_grad()
    def targets(self, scores: Tensor, ranks: Ranks) -> Tensor:
        """The teacher's distribution (B, K) from its centred scores."""
        wide = scores if scores.dtype == torch.float64 else scores.float()
        return (wide / self.teacher_temperature).softmax(-1)

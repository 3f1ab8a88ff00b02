"""Clustering losses on plain tensors: a view predicts the assignments of other views."""

from collections.abc import Sequence

import torch
from torch import Tensor

from kontrast.core.embeddings import LossTerm
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.losses.clustering.dino import DINO
from kontrast.losses.clustering.swav import SwAV
from kontrast.losses.clustering_loss import ClusteringLoss
from kontrast.losses.engine import input_checks
from kontrast.losses.functional.pair_terms import share


def swav(
    scores: Sequence[Tensor],
    *,
    assigned: int = 2,
    temperature: float | Tensor = 0.1,
    epsilon: float = 0.05,
    iterations: int = 3,
) -> Tensor:
    """SwAV: each view predicts the balanced prototype assignments of the others.

    Take it for views without labels, above all with small crops.

    Args:
        scores: A tensor (N, K) of cosines to prototypes per view.
        assigned: How many views, from the first, are assigned and predicted by the others; 2 as in the paper.
        temperature: Above 0; 0.1 as in the paper and in lightly. A tensor of one number gets its gradient.
        epsilon: Sharpness of assignments, above 0; 0.05 as in the paper and in lightly.
        iterations: Of Sinkhorn-Knopp; 3 as in the paper and in lightly.

    Returns:
        A scalar, the mean over rows and pairs of views.

    Raises:
        UserError: Fewer than two views, shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = -sum_k q_ik log softmax(s_i / temperature)_k, q = sinkhorn(s' / epsilon) of another view's scores s'.

    Reference:
        Caron et al. 2020, arXiv:2006.09882.

    Example:
        >>> swav([torch.eye(4), torch.eye(4)])
        tensor(0.0001)
    """
    loss = SwAV(temperature=input_checks.temperature(temperature), epsilon=epsilon, iterations=iterations)
    scores = input_checks.outputs(scores, "scores")
    return _predicted(loss, scores, scores[: input_checks.whole(assigned, "assigned", least=1, most=len(scores))])


def dino(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    centre: Tensor | float = 0.0,
    *,
    temperature: float | Tensor = 0.1,
    teacher_temperature: float | Tensor = 0.04,
) -> Tensor:
    """DINO: the student predicts the teacher's centred outputs for other views.

    Take it with a Vision Transformer and a moving-average teacher. View k of both is the same view and is not predicted
    from itself.

    Args:
        student: A tensor (N, K) of outputs per view.
        teacher: A tensor (N, K) of outputs per view, the student's first views.
        centre: (K,) running mean of the teacher's outputs, as `kontrast.layers.centre.Centre` keeps it; 0 by default.
        temperature: Above 0; of the student, 0.1 as in the paper and in lightly. A tensor of one number gets its
            gradient.
        teacher_temperature: Above 0; 0.04 as in the paper's first epochs and in lightly.

    Returns:
        A scalar, the mean over rows and pairs of views.

    Raises:
        UserError: Fewer than two views, shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = -sum_k q_ik log softmax(s_i / temperature)_k, q = softmax((t - centre) / teacher_temperature) of another
        view.

    Reference:
        Caron et al. 2021, arXiv:2104.14294.

    Example:
        >>> dino([torch.eye(4), torch.eye(4)], [torch.eye(4), torch.eye(4)])
        tensor(0.0001)
    """
    sharpness = input_checks.temperature(teacher_temperature, "teacher_temperature")
    loss = DINO(temperature=input_checks.temperature(temperature), teacher_temperature=sharpness)
    student, teacher = input_checks.outputs(student, "student"), input_checks.outputs(teacher, "teacher")
    input_checks.aligned(**{"student[0]": student[0], "teacher[0]": teacher[0]})
    centre = input_checks.offset(centre, teacher[0].shape[1], "centre")
    return _predicted(loss, student, [t - centre for t in teacher])


def _predicted(loss: ClusteringLoss, scores: Sequence[Tensor], views: Sequence[Tensor]) -> Tensor:
    ranks = Ranks()
    targets = [loss.targets(t, ranks) for t in views]
    means = [loss(s, q) for i, q in enumerate(targets) for j, s in enumerate(scores) if i != j]
    if not means:
        raise UserError(f"{type(loss).__name__.lower()}: one view alone; expected two or more, to predict each other.")
    total, count = (torch.stack(parts).sum(0) for parts in zip(*((m.total, m.count) for m in means), strict=True))
    return share({type(loss).__name__.lower(): LossTerm(total, count)}, "no rows.")

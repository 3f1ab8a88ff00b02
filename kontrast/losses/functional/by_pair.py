"""Losses on plain tensors whose rows are aligned pairs; other rows are negatives or statistics.

Rows are normalised unless said otherwise, logits are float32 or better. Where rows are taken as they are and
thousands long, the gradient may overflow in float16, with the value finite.
"""

import torch
from torch import Tensor

from kontrast.core.embeddings import LossTerm
from kontrast.core.normalize import sphere
from kontrast.core.ranks import Ranks
from kontrast.losses.alignment.alignment import Alignment
from kontrast.losses.alignment.barlow_twins import BarlowTwins
from kontrast.losses.alignment.negative_cosine import NegativeCosine
from kontrast.losses.alignment.vicreg import VICReg
from kontrast.losses.alignment.wmse import WMSE
from kontrast.losses.contrastive.jsd import JSD
from kontrast.losses.contrastive.siglip import SigLIP
from kontrast.losses.contrastive.spectral import Spectral
from kontrast.losses.contrastive.uniformity import Uniformity
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import adapters, dense, input_checks
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.functional.pair_terms import share, whole_batch
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relations.same_key import SameKey


def siglip(z1: Tensor, z2: Tensor, *, scale: Tensor | float = 10.0, bias: Tensor | float = -10.0) -> Tensor:
    """Sigmoid loss: every pair is a binary question.

    Take it for two modalities at small batches; with large ones `clip`. Make `scale` and `bias` parameters to learn
    them.

    Args:
        z1: (N, D) embeddings of one view, normalised here.
        z2: (N, D) embeddings of the other view; row k is the same sample as row k of `z1`.
        scale: Inverse temperature, above 0; 10 at first, as in the paper.
        bias: Added to every logit; -10 at first, as in the paper.

    Returns:
        A scalar, the sum over pairs divided by the number of rows, as in the paper.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L = 1/N sum_ij softplus(-y_ij (scale cos(z1_i, z2_j) + bias)), y_ij = 1 for i = j, else -1.

    Reference:
        Zhai et al. 2023, arXiv:2303.15343.

    Example:
        >>> siglip(torch.eye(4), torch.eye(4))
        tensor(0.6933)
    """
    input_checks.aligned(z1=z1, z2=z2)
    scale, bias = input_checks.number(scale, "scale", above=0), input_checks.number(bias, "bias")
    if dense.small(len(z1), len(z2)):
        return dense.siglip(z1, z2, scale, bias)
    x, y = sphere(z1), sphere(z2)
    one = torch.ones_like(x[:, :1])  # the bias rides along as a column
    x, y = torch.cat([x * scale, one * bias], 1), torch.cat([y, one], 1)
    return _facing(x, y, SigLIP(bias=0.0, learnable=False))


def jsd(z1: Tensor, z2: Tensor) -> Tensor:
    """Jensen-Shannon bound on mutual information, over inner products.

    Take it for local against global embeddings (InfoGraph); for views `ntxent`.

    Args:
        z1: (N, D) embeddings of one view, not normalised.
        z2: (N, D) embeddings of the other view; row k is the same sample as row k of `z1`.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = softplus(-S_ii) + mean_{j != i} softplus(S_ij) - 2 log 2, S the inner product.

    Reference:
        InfoGraph arXiv:1908.01000; f-GAN arXiv:1606.00709.

    Example:
        >>> jsd(torch.eye(2), torch.eye(2))
        tensor(-0.3799)
    """
    return _facing(z1, z2, JSD())


def spectral(z1: Tensor, z2: Tensor) -> Tensor:
    """Spectral contrastive loss, over inner products.

    Take it for theory, or if embeddings must factorise the graph of positive pairs; in practice `ntxent`. May be
    negative.

    Args:
        z1: (N, D) embeddings of one view, not normalised.
        z2: (N, D) embeddings of the other view; row k is the same sample as row k of `z1`.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = -2 S_ii + mean_{j != i} S_ij^2, S the inner product.

    Reference:
        HaoChen et al. 2021, arXiv:2106.04156.

    Example:
        >>> spectral(torch.eye(2), torch.eye(2))
        tensor(-2.)
    """
    return _facing(z1, z2, Spectral())


def byol(p: Tensor, t: Tensor) -> Tensor:
    """BYOL: squared distance of normalised predictions and targets.

    Take it with a predictor and a moving-average target network. SimSiam's loss is half of it, less 1. For symmetric
    use take the mean of both directions.

    Args:
        p: (N, D) predictions of one view, normalised here.
        t: (N, D) projections of the other view, without gradient.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_k = 2 - 2 cos(p_k, sg(t_k))

    Reference:
        Grill et al. 2020, arXiv:2006.07733.

    Example:
        >>> byol(torch.eye(2), torch.eye(2).flip(0))
        tensor(2.)
    """
    input_checks.aligned(p=p, t=t)
    mean = NegativeCosine()(adapters.rows(p), adapters.rows(t))
    return share({"byol": LossTerm(2 * mean.count + 2 * mean.total, mean.count)}, "no rows.")


def align_uniform(z1: Tensor, z2: Tensor, *, power: float = 2.0, t: float = 2.0, weight: float = 1.0) -> Tensor:
    """Alignment of pairs plus weighted uniformity of both sides.

    Take it to see both parts of a contrastive loss; `ntxent` optimises the same two in one.

    Args:
        z1: (N, D) embeddings of one view, normalised here.
        z2: (N, D) embeddings of the other view; row k is the same sample as row k of `z1`.
        power: Of the distance, above 0; 2 as in the paper.
        t: Sharpness of the uniformity, above 0; 2 as in the paper.
        weight: Of the uniformity, at least 0; 1 by default.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L = mean_k |x_k - y_k|^power + weight log mean_{i != j} e^{-t |x_i - x_j|^2} (averaged over both views) of
        normalised rows.

    Reference:
        Wang & Isola 2020, arXiv:2005.10242.

    Example:
        >>> align_uniform(torch.eye(4), torch.eye(4))
        tensor(-4.)
    """
    input_checks.aligned(z1=z1, z2=z2)
    weight = float(input_checks.number(weight, "weight", least=0))
    rows = {"one": adapters.rows(z1), "two": adapters.rows(z2)}
    means = {
        "alignment": Alignment(power=power)(rows["one"], rows["two"]),
        "uniformity": weight * Uniformity(t=t)(*Ranks().gather(rows).values()),
    }
    return share(means, "no rows.")


def barlow(z1: Tensor, z2: Tensor, *, off: float = 0.005) -> Tensor:
    """Barlow Twins: cross-correlation of features close to the identity.

    Take it if negatives are scarce; it wants wide projections.

    Args:
        z1: (N, D) embeddings of one view, not normalised.
        z2: (N, D) embeddings of the other view; row k is the same sample as row k of `z1`.
        off: Weight of different features, at least 0; 0.005 as in the paper and in lightly.

    Returns:
        A scalar, of the whole batch.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L = sum_i (1 - C_ii)^2 + off sum_{i != j} C_ij^2, C the correlation of two views' features.

    Reference:
        Zbontar et al. 2021, arXiv:2103.03230.

    Example:
        >>> barlow(torch.eye(4), torch.eye(4))
        tensor(0.0067)
    """
    return whole_batch(z1, z2, BarlowTwins(off=off))


def vicreg(
    z1: Tensor, z2: Tensor, *, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0
) -> Tensor:
    """VICReg: invariance, variance and covariance of two views.

    Take it if negatives are scarce, or for branches without shared weights.

    Args:
        z1: (N, D) embeddings of one view, not normalised.
        z2: (N, D) embeddings of the other view; row k is the same sample as row k of `z1`.
        invariance: Weight of the mean squared error; 25 as in the paper and in lightly.
        variance: Weight of the variance term; 25 as in the paper and in lightly.
        covariance: Weight of the covariance term; 1 as in the paper and in lightly.

    Returns:
        A scalar, of the whole batch.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L = invariance mean (x - y)^2 + variance mean relu(1 - sqrt(var + 1e-4)) + covariance (K(x) + K(y)), K the sum
        of squared covariances of different features / D.

    Reference:
        Bardes, Ponce & LeCun 2022, arXiv:2105.04906.

    Example:
        >>> vicreg(torch.eye(4), torch.eye(4))
        tensor(12.5392)
    """
    return whole_batch(z1, z2, VICReg(invariance=invariance, variance=variance, covariance=covariance))


def wmse(z1: Tensor, z2: Tensor, *, size: int | None = None, shrink: float = 1e-3) -> Tensor:
    """W-MSE: views agree after whitening.

    Take it without negatives if a group has more rows than D; otherwise `vicreg`.

    Args:
        z1: (N, D) embeddings of one view, not normalised.
        z2: (N, D) embeddings of the other view; row k is the same sample as row k of `z1`.
        size: Rows whitened together; None (default) for all.
        shrink: Share of the identity in the covariance, in [0, 1); 0 in the paper, 0.001 by default.

    Returns:
        A scalar, of the whole batch.

    Raises:
        UserError: Shapes that do not fit, or a covariance without full rank.

    Equation:
        L = mean_k 2 - 2 cos(W x_k, W' y_k), W the inverse Cholesky factor of a view's covariance.

    Reference:
        Ermolov et al. 2021, arXiv:2007.06346.

    Example:
        >>> wmse(torch.eye(6)[:, :2], torch.eye(6)[:, 1:3])
        tensor(1.4884)
    """
    return whole_batch(z1, z2, WMSE(size=size, shrink=shrink))


def _facing(z1: Tensor, z2: Tensor, loss: ContrastiveLoss) -> Tensor:
    input_checks.aligned(z1=z1, z2=z2)
    everyone = Ranks().gather({"z": adapters.rows(z2, view=1)})["z"]
    mean = contrast(adapters.rows(z1), everyone, SameKey("id"), loss=loss, kernel=Dot())
    return share({type(loss).__name__.lower(): mean}, "no rows.")

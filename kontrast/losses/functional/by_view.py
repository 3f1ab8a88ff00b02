"""Losses on plain tensors whose positives are views of the same sample."""

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.errors import UserError
from kontrast.core.normalize import sphere, wide
from kontrast.core.ranks import Ranks
from kontrast.losses.bidirectional import mutual
from kontrast.losses.contrastive.debiased import Debiased
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine import dense, input_checks
from kontrast.losses.engine.adapters import Tempered, fixed, gathered, reduce_terms, rows, views
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.reduction import collapse
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relation import CandidatesOnly
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.within_group import WithinGroup


def ntxent(*z: Tensor, temperature: float | Tensor = 0.1) -> Tensor:
    """NT-Xent of SimCLR: two or more views, all other rows of all views are candidates.

    The default for views without labels. With small batches take `dcl` or `siglip`; with labels `supcon`.

    Args:
        *z: Two or more views (N, D), row k of each the same sample; normalised here.
        temperature: Above 0; 0.1 as SimCLR on ImageNet, 0.5 on CIFAR and in lightly. A tensor of one number gets its
            gradient.

    Returns:
        A scalar, the mean over all V N anchors.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log sum_{k != i} e^(S_ik) - mean_p S_ip, S the cosine over the temperature, p the other views of i's
        sample.

    Reference:
        Chen et al. 2020, arXiv:2002.05709.

    Example:
        >>> z1, z2 = torch.eye(2), torch.eye(2)
        >>> round(ntxent(z1, z2, temperature=1.0).item(), 4)  # log(e + 1 + 1) - 1
        0.5514
    """
    if not z:
        raise UserError("no views; expected two or more tensors (rows, width).")
    kernel = Tempered(temperature)
    if len(z) == 2:
        input_checks.aligned(z1=z[0], z2=z[1])
        if dense.small(2 * len(z[0]), 2 * len(z[0]), dense.FEW) and len(z[0]) > 1:
            return dense.ntxent(*z, kernel.temperature**0.5)
    ours = views(*z)
    return reduce_terms(loss=contrast(ours, gathered(ours), SameKey("id"), loss=InfoNCE(), kernel=kernel))


def clip(z1: Tensor, z2: Tensor, *, temperature: float | Tensor = 0.07) -> Tensor:
    """CLIP: each row picks its partner on the other side, averaged over both directions.

    Take it for two modalities. With small batches take `siglip`; for one direction `infonce`.

    Args:
        z1: (N, D) embeddings of one view, normalised here.
        z2: (N, D) embeddings of the other view; row k is the same sample as row k of `z1`.
        temperature: Above 0; 0.07 at first as in CLIP, which learns the log of its inverse, at most log 100. A tensor
            gets its gradient.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = [log sum_k e^(S_ik) + log sum_k e^(S_ki)] / 2 - S_ii, S_ij = cos(z1_i, z2_j) / temperature.

    Reference:
        Radford et al. 2021, arXiv:2103.00020.

    Example:
        >>> round(clip(torch.eye(2), torch.eye(2), temperature=1.0).item(), 4)  # log(e + 1) - 1
        0.3133
    """
    input_checks.aligned(z1=z1, z2=z2)
    root = (
        input_checks.temperature(temperature) ** 0.5
    )  # half of it on either side, so that one matrix is the other's transpose
    if dense.small(len(z1), len(z2), dense.FEW):
        return dense.clip(z1, z2, root)
    forth, back = mutual(rows(sphere(z1, root)), rows(sphere(z2, root), view=1), SameKey("id"), loss=InfoNCE())
    return reduce_terms(forth=0.5 * forth, back=0.5 * back)


def dcl(z1: Tensor, z2: Tensor, *, temperature: float | Tensor = 0.1) -> Tensor:
    """Decoupled contrast: NT-Xent without the positive among its candidates.

    Take it for small batches, which lose less by it than by `ntxent`. The value may be negative.

    Args:
        z1: (N, D) embeddings of one view, normalised here.
        z2: (N, D) embeddings of the other view; row k is the same sample as row k of `z1`.
        temperature: Above 0; 0.1 as in the paper and in lightly. A tensor of one number gets its gradient.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log sum_{k != i, p} e^(S_ik) - S_ip

    Reference:
        Yeh et al. 2022, arXiv:2110.06848.

    Example:
        >>> round(dcl(torch.eye(2), torch.eye(2), temperature=1.0).item(), 4)  # log(1 + 1) - 1
        -0.3069
    """
    return reduce_terms(loss=_apart(views(z1, z2), temperature))


def dclw(z1: Tensor, z2: Tensor, *, temperature: float | Tensor = 0.1, sigma: float = 0.5) -> Tensor:
    """Decoupled contrast with weighted positives: pairs that agree pull less.

    Take it as `dcl` if easy pairs dominate. The weights have mean 1, take no gradient and may be negative, so they are
    computed beside the engine: DCLW = DCL + mean (1 - w_i) cos_i / temperature.

    Args:
        z1: (N, D) embeddings of one view, normalised here.
        z2: (N, D) embeddings of the other view; row k is the same sample as row k of `z1`.
        temperature: Above 0; 0.1 as in the paper and in lightly. A tensor of one number gets its gradient.
        sigma: Sharpness of the weights, above 0; 0.5 as in the paper and in lightly.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log sum_{k != i, p} e^(S_ik) - w_i S_ip, w_i = 2 - e^(cos_i / sigma) / mean e^(cos / sigma).

    Reference:
        Yeh et al. 2022, arXiv:2110.06848.

    Example:
        >>> dclw(torch.eye(2), torch.eye(2)).item() == dcl(torch.eye(2), torch.eye(2)).item()  # all agree alike
        True
    """
    ours = views(z1, z2)
    temperature, sigma = input_checks.temperature(temperature), float(input_checks.number(sigma, "sigma", above=0))
    cos = (sphere(z1) * sphere(z2)).sum(-1)
    alike = (cos.detach() / sigma).exp()
    total, n = Ranks().sum(exact(torch.stack([alike.sum(), alike.new_tensor(len(alike))])))
    w = 2 - alike * (n / total).to(alike.dtype)
    pull = ((1 - w) * cos / temperature).repeat(2)  # once for each of both views as anchors
    pulled = LossTerm(collapse(pull), exact(collapse(torch.ones_like(pull))))
    return reduce_terms(loss=_apart(ours, temperature), weights=pulled)


def debiased(z1: Tensor, z2: Tensor, *, temperature: float | Tensor = 0.5, prior: float = 0.1) -> Tensor:
    """Debiased InfoNCE: the sum over negatives, less the expected false ones.

    Take it for few classes without labels, where many negatives share the anchor's class.

    Args:
        z1: (N, D) embeddings of one view, normalised here.
        z2: (N, D) embeddings of the other view; row k is the same sample as row k of `z1`.
        temperature: Above 0; 0.5 as in the paper. A tensor of one number gets its gradient.
        prior: Probability that a random row is of the anchor's class, in [0, 1); 0.1 as in the paper. 0 gives `ntxent`.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = -S_ip + log(e^(S_ip) + g), g = (sum_n e^(S_in) - prior N e^(S_ip)) / (1 - prior) of the N negatives n, but
        at least N e^(-1 / temperature).

    Reference:
        Chuang et al. 2020, arXiv:2007.00224.

    Example:
        >>> z = torch.eye(4)
        >>> torch.allclose(debiased(z, z, prior=0.0), ntxent(z, z, temperature=0.5))
        True
    """
    return hard_negative(z1, z2, temperature=temperature, prior=prior, hardness=0.0)


def hard_negative(
    z1: Tensor, z2: Tensor, *, temperature: float | Tensor = 0.5, prior: float = 0.1, hardness: float = 1.0
) -> Tensor:
    """Debiased InfoNCE with negatives weighed by their similarity.

    Take it if most negatives are easy; with noisy data prefer `debiased`.

    Args:
        z1: (N, D) embeddings of one view, normalised here.
        z2: (N, D) embeddings of the other view; row k is the same sample as row k of `z1`.
        temperature: Above 0; 0.5 as in the paper. A tensor of one number gets its gradient.
        prior: Probability that a random row is of the anchor's class, in [0, 1); 0.1 as in the paper.
        hardness: Weight exponent, at least 0; 1 as in the paper.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        As `debiased`, with sum_n e^((1 + hardness) S_in) / mean_n e^(hardness S_in) in place of sum_n e^(S_in).

    Reference:
        Robinson et al. 2021, arXiv:2010.04592.

    Example:
        >>> z = torch.eye(4)  # all negatives alike: none is harder
        >>> torch.allclose(hard_negative(z, z, hardness=2.0), debiased(z, z))
        True
    """
    ours = views(z1, z2)
    kernel = Tempered(temperature)
    loss = Debiased(prior=prior, hardness=hardness, temperature=kernel.temperature)
    return reduce_terms(loss=contrast(ours, gathered(ours), SameKey("id"), loss=loss, kernel=kernel))


def moco(q: Tensor, k: Tensor, queue: Tensor, *, temperature: float | Tensor = 0.2) -> Tensor:
    """MoCo: each query picks its own key among it and a queue of old keys.

    Take it if batches are small and a moving-average encoder makes the keys. Other keys of the batch are no candidates;
    keys and queue take no gradient. Nothing is gathered: fill the queue with the keys of all processes.

    Args:
        q: (N, D) queries, normalised here.
        k: (N, D) keys, row k of the same sample.
        queue: (K, D) keys of earlier batches; 65,536 in the paper.
        temperature: Above 0; 0.2 as in MoCo v2; 0.07 in v1. A tensor of one number gets its gradient.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log(e^(S_i) + sum_j e^(cos(q_i, queue_j) / temperature)) - S_i, S_i = cos(q_i, k_i) / temperature.

    Reference:
        He et al. 2020, arXiv:1911.05722.

    Example:
        >>> round(moco(torch.eye(2), torch.eye(2), torch.tensor([[0.0, 1.0]]), temperature=1.0).item(), 4)
        0.5032
    """
    input_checks.aligned(q=q, k=k)
    input_checks.centres(queue, k, "queue", per="old key")
    own = rows(k.detach(), {"queue": torch.zeros(len(k), dtype=torch.bool, device=k.device)}, view=1)
    old = fixed(queue.detach().to(k), {"queue": torch.ones(len(queue), dtype=torch.bool, device=k.device)})
    relation = SameKey("id") & CandidatesOnly(WithinGroup("id") | KeyWeight("queue", what="candidates"))
    kernel = Tempered(temperature)
    return reduce_terms(loss=contrast(rows(q), Embeddings.stack(own, old), relation, loss=InfoNCE(), kernel=kernel))


def npair(f: Tensor, g: Tensor, *, l2: float = 0.02) -> Tensor:
    """N-pair loss: softmax over inner products of embeddings as they are.

    Historical; `infonce` with normalised embeddings is easier to tune. The penalty keeps unnormalised embeddings from
    growing.

    Args:
        f: (N, D) anchors, not normalised.
        g: (N, D) partners, row k of the same class as row k of `f`, all classes different.
        l2: Weight of the mean squared norm of both sides, at least 0; 0.02 by default.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log(1 + sum_{k != i} e^(f_i g_k - f_i g_i)) + l2 (|f_i|^2 + |g_i|^2) / 2

    Reference:
        Sohn 2016, "Improved deep metric learning with multi-class N-pair loss objective", NIPS.

    Example:
        >>> round(npair(torch.eye(2), torch.eye(2), l2=0.0).item(), 4)  # log(1 + e^-1)
        0.3133
    """
    input_checks.aligned(f=f, g=g)
    l2 = float(input_checks.number(l2, "l2", least=0))
    picked = contrast(rows(f), gathered(rows(g, view=1)), SameKey("id"), loss=InfoNCE(), kernel=Dot())
    squares = (wide(f).square().sum(1) + wide(g).square().sum(1)) / 2
    return reduce_terms(loss=picked, norm=l2 * LossTerm(collapse(squares), exact(collapse(torch.ones_like(squares)))))


def _apart(ours: Embeddings, temperature: float | Tensor) -> LossTerm:
    kernel = Tempered(temperature)
    return contrast(ours, gathered(ours), SameKey("id", apart=True), loss=InfoNCE(), kernel=kernel)

"""Losses on plain tensors whose positives are views of the same sample, one function each; see `functional`."""

import math

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.errors import UserError
from kontrast.core.normalize import sphere, wide
from kontrast.core.ranks import Ranks
from kontrast.losses.bidirectional import mutual
from kontrast.losses.contrastive.debiased import Debiased
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.contrastive.supcon_inside import SupConInside
from kontrast.losses.engine import dense, input_checks
from kontrast.losses.engine.adapters import Tempered, fixed, gathered, rows, settle, views
from kontrast.losses.engine.contrast import contrast, per_row
from kontrast.losses.engine.reduction import collapse
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relation import CandidatesOnly
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.within_group import WithinGroup


def ntxent(*z: Tensor, temperature: float | Tensor = 0.1) -> Tensor:
    """NT-Xent (SimCLR, arXiv:2002.05709) of two or more views (N, D): all other rows of all views are candidates.

    L_i = log sum_{k != i} e^(S_ik) - mean_p S_ip, S the cosine over the temperature, p the other views of i's sample:
    with more than two views they are averaged outside the logarithm. The mean over all V N anchors.

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
    return settle(loss=contrast(ours, gathered(ours), SameKey("id"), loss=InfoNCE(), kernel=kernel))


def clip(z1: Tensor, z2: Tensor, *, temperature: float | Tensor = 0.07) -> Tensor:
    """CLIP (arXiv:2103.00020): each row picks its partner on the other side, the mean of both directions.

    L_i = [log sum_k e^(S_ik) + log sum_k e^(S_ki)] / 2 - S_ii, S_ij = cos(z1_i, z2_j) / temperature. `temperature` may
    be a tensor that is learned (CLIP learns the log of its inverse, at most log 100).

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
    return settle(forth=0.5 * forth, back=0.5 * back)


def dcl(z1: Tensor, z2: Tensor, *, temperature: float | Tensor = 0.1) -> Tensor:
    """Decoupled contrastive learning (arXiv:2110.06848): NT-Xent without the positive among its candidates.

    L_i = log sum_{k != i, p} e^(S_ik) - S_ip. Can be negative. Small batches lose less by it.

    >>> round(dcl(torch.eye(2), torch.eye(2), temperature=1.0).item(), 4)  # log(1 + 1) - 1
    -0.3069
    """
    return settle(loss=_apart(views(z1, z2), temperature))


def dclw(z1: Tensor, z2: Tensor, *, temperature: float | Tensor = 0.1, sigma: float = 0.5) -> Tensor:
    """DCL with weighed positives (arXiv:2110.06848): w_i = 2 - e^(cos_i / sigma) / mean e^(cos / sigma), of mean 1.

    Pairs that agree already pull less. The weights take no gradient and may be negative, so they stand beside the
    engine: DCLW = DCL + mean (1 - w_i) cos_i / temperature.

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
    return settle(loss=_apart(ours, temperature), weights=pulled)


def debiased(z1: Tensor, z2: Tensor, *, temperature: float | Tensor = 0.5, prior: float = 0.1) -> Tensor:
    """Debiased InfoNCE (arXiv:2007.00224): the sum over negatives less what false ones among them are expected to add.

    L_i = -S_ip + log(e^(S_ip) + g), g = (sum_n e^(S_in) - prior N e^(S_ip)) / (1 - prior) of the N negatives n, but at
    least N e^(-1 / temperature). `prior` is the chance that a random row is of the anchor's class; 0 gives NT-Xent.

    >>> z = torch.eye(4)
    >>> torch.allclose(debiased(z, z, prior=0.0), ntxent(z, z, temperature=0.5))
    True
    """
    return hard_negative(z1, z2, temperature=temperature, prior=prior, hardness=0.0)


def hard_negative(
    z1: Tensor, z2: Tensor, *, temperature: float | Tensor = 0.5, prior: float = 0.1, hardness: float = 1.0
) -> Tensor:
    """InfoNCE with negatives weighed by e^(hardness S) and debiased (arXiv:2010.04592).

    As `debiased`, with sum_n e^((1 + hardness) S_in) / mean_n e^(hardness S_in) in place of sum_n e^(S_in).

    >>> z = torch.eye(4)  # all negatives alike: none is harder
    >>> torch.allclose(hard_negative(z, z, hardness=2.0), debiased(z, z))
    True
    """
    ours = views(z1, z2)
    kernel = Tempered(temperature)
    loss = Debiased(prior=prior, hardness=hardness, temperature=kernel.temperature)
    return settle(loss=contrast(ours, gathered(ours), SameKey("id"), loss=loss, kernel=kernel))


def moco(q: Tensor, k: Tensor, queue: Tensor, *, temperature: float | Tensor = 0.2) -> Tensor:
    """MoCo (arXiv:1911.05722): each query (N, D) picks its own key (N, D) among it and the queue (K, D).

    L_i = log(e^(S_i) + sum_j e^(cos(q_i, queue_j) / temperature)) - S_i, S_i = cos(q_i, k_i) / temperature. Other keys
    of the batch do not count; keys and queue take no gradient. Nothing is gathered: fill the queue with the keys of all
    ranks.

    >>> round(moco(torch.eye(2), torch.eye(2), torch.tensor([[0.0, 1.0]]), temperature=1.0).item(), 4)
    0.5032
    """
    input_checks.aligned(q=q, k=k)
    input_checks.centres(queue, k, "queue", per="old key")
    own = rows(k.detach(), {"queue": torch.zeros(len(k), dtype=torch.bool, device=k.device)}, view=1)
    old = fixed(queue.detach().to(k), {"queue": torch.ones(len(queue), dtype=torch.bool, device=k.device)})
    relation = SameKey("id") & CandidatesOnly(WithinGroup("id") | KeyWeight("queue", what="among"))
    kernel = Tempered(temperature)
    return settle(loss=contrast(rows(q), Embeddings.stack(own, old), relation, loss=InfoNCE(), kernel=kernel))


def npair(f: Tensor, g: Tensor, *, l2: float = 0.02) -> Tensor:
    """N-pair (Sohn, NIPS 2016): log(1 + sum_{k != i} e^(f_i g_k - f_i g_i)) of embeddings as they are.

    plus l2 times the mean squared norm of both sides, without which dots of unnormalised vectors grow on.

    >>> round(npair(torch.eye(2), torch.eye(2), l2=0.0).item(), 4)  # log(1 + e^-1)
    0.3133
    """
    input_checks.aligned(f=f, g=g)
    l2 = float(input_checks.number(l2, "l2", least=0))
    picked = contrast(rows(f), gathered(rows(g, view=1)), SameKey("id"), loss=InfoNCE(), kernel=Dot())
    squares = (wide(f).square().sum(1) + wide(g).square().sum(1)) / 2
    return settle(loss=picked, norm=l2 * LossTerm(collapse(squares), exact(collapse(torch.ones_like(squares)))))


def mil_nce(z: Tensor, bags: Tensor, *, temperature: float | Tensor = 1.0, both: bool = True) -> Tensor:
    """MIL-NCE (arXiv:1912.06430): of a bag (N, K, D) of possible partners of z (N, D) one may be right; bare dots.

    L_i = log(sum_jk e^(z_i y_jk) + sum_{j != i, k} e^(z_j y_ik)) - log sum_k e^(z_i y_ik), over all ranks: the clip
    asks all narrations, and its own narrations ask all other clips. Each pair stands in the sum once, as in the paper;
    the authors' code has the own bag in it twice. `both` False leaves the second sum out: each clip asks once.

    >>> round(mil_nce(torch.eye(2), torch.eye(2)[:, None].repeat(1, 3, 1)).item(), 4)  # log(e + 1 + 1) - 1
    0.5514
    """
    input_checks.embeddings(z)
    if not isinstance(bags, Tensor) or bags.ndim != 3 or not bags.is_floating_point():
        raise UserError("bags are no tensor (rows, partners, width) of floating-point numbers, which is expected.")
    if not bags.shape[1] or (len(bags), bags.shape[2]) != z.shape:
        found = f"bags of shape {tuple(bags.shape)} for embeddings of one shape {tuple(z.shape)}"
        raise UserError(f"{found}; expected ({len(z)}, partners, {z.shape[1]}), a bag per row.")
    ours, both = rows(wide(z) / input_checks.temperature(temperature)), input_checks.flag(both, "both")
    keys = {"id": ours.keys["id"].repeat_interleave(bags.shape[1])}
    narrations = rows(bags.flatten(0, 1), keys)
    # A clip is no narration: without this, the first clip and the first narration could bear one name.
    clips = Embeddings(ours.z, {**ours.keys, "view": torch.full_like(ours.keys["view"], -1)})
    asking = (clips, gathered(narrations), SameKey("id"))
    if not both:
        return settle(loss=contrast(*asking, loss=SupConInside(), kernel=Dot()))
    asked = (narrations, gathered(clips), SameKey("id", apart=True))
    own = (clips.z[:, None] * wide(bags)).sum(-1)  # (N, K)
    pull = own.logsumexp(1)
    with torch.no_grad():
        forth = per_row(*asking, loss=SupConInside(), kernel=Dot()) + pull
        back = per_row(*asked, loss=InfoNCE(), kernel=Dot()).view_as(own) + own
        back = back.nan_to_num(-torch.inf, torch.inf)  # a clip that is alone is asked by nobody
        whole = torch.logaddexp(forth, back.logsumexp(1))
        share = (back - whole[:, None]).exp()  # of the softmax mass
    first = contrast(*asking, loss=SupConInside(), kernel=Dot(), weight=1 - share.sum(1))
    second = contrast(*asked, loss=InfoNCE(), kernel=Dot(), weight=share.flatten())
    # The slope is that of (1 - share) forth + share back - pull, with shares held; the value is put right beside it.
    slope = first.total + second.total - (share.sum(1) * pull).sum() + (share * own).sum()
    total = slope - slope.detach() + (whole - pull.detach()).sum()
    return settle(loss=LossTerm(total, exact(total.new_tensor(len(z)))))


def herocon_views(v1: Tensor, v2: Tensor, g1: Tensor, g2: Tensor) -> Tensor:
    """HeroCon's unsupervised term (Zheng et al., KDD 2022): v2_i finds its v1_i among weighed v1_k.

    L_i = log(mean_k w_ki e^cos(v1_k, v2_i)) - cos(v1_i, v2_i),
    w_ki = (e^(1 - cos(g1_k, v2_i)) + e^(1 - cos(g2_k, v1_i))) / 2,

    g = a learned transformation of v (a linear layer and a sigmoid in the paper). A weight times e^S is e^(S + log
    weight), so each half of w is a candidate of its own in an inner product twice as wide: exact, and in tiles.

    >>> v = torch.eye(2)
    >>> round(herocon_views(v, v, v, v).item(), 4)  # log((e + e^1) / 2) - 1
    0.0
    """
    input_checks.aligned(v1=v1, v2=v2, g1=g1, g2=g2)
    a, b, ga, gb = sphere(v1), sphere(v2), sphere(g1), sphere(g2)
    none = torch.zeros_like(a)
    sides = {"one": torch.cat([a - ga, none], 1), "two": torch.cat([a, -gb], 1)}
    ours = [rows(z, view=1 + n) for n, z in enumerate(sides.values())]
    pushing = gathered(Embeddings.stack(*ours))
    own = rows(torch.cat([a, none], 1), view=3)
    mass = 0.5 * math.e / (len(pushing) / 2)
    candidates = Embeddings.stack(
        Embeddings(own.z, {**own.keys, "pulls": torch.ones_like(a[:, 0]), "counts": torch.zeros_like(a[:, 0])}),
        Embeddings(
            pushing.z,
            {
                **pushing.keys,
                "pulls": torch.zeros_like(pushing.z[:, 0]),
                "counts": torch.full_like(pushing.z[:, 0], mass),
            },
        ),
    )
    relation = SameKey("id") & KeyWeight("pulls") & KeyWeight("counts", what="among")
    anchors = rows(torch.cat([b, a], 1))
    return settle(loss=contrast(anchors, candidates, relation, loss=InfoNCE(), kernel=Dot()))


def _apart(ours: Embeddings, temperature: float | Tensor) -> LossTerm:
    kernel = Tempered(temperature)
    return contrast(ours, gathered(ours), SameKey("id", apart=True), loss=InfoNCE(), kernel=kernel)

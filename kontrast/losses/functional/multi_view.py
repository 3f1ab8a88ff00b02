"""Losses on plain tensors with several possible partners or several kinds of views."""

import math

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.errors import UserError
from kontrast.core.normalize import sphere, wide
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.contrastive.supcon_inside import SupConInside
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.adapters import gathered, reduce_terms, rows
from kontrast.losses.engine.contrast import contrast, per_row
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.same_key import SameKey


def mil_nce(z: Tensor, bags: Tensor, *, temperature: float | Tensor = 1.0, both: bool = True) -> Tensor:
    """MIL-NCE: any partner in a bag of possible ones may be the right one.

    Take it for weakly aligned pairs, such as a clip and its nearby narrations. Each pair stands in the sum once, as in
    the paper; the authors' code has the own bag in it twice.

    Args:
        z: (N, D) embeddings, not normalised.
        bags: (N, K, D), the K possible partners of each row.
        temperature: Above 0; 1 as in the paper, which has none. A tensor of one number gets its gradient.
        both: Also let narrations ask all clips (default, the paper); False leaves the second sum out.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log(sum_jk e^(z_i y_jk) + sum_{j != i, k} e^(z_j y_ik)) - log sum_k e^(z_i y_ik), over all processes.

    Reference:
        Miech et al. 2020, arXiv:1912.06430.

    Example:
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
    # A clip is no narration: without this, the first clip and the first narration could share one name.
    clips = Embeddings(ours.z, {**ours.keys, "view": torch.full_like(ours.keys["view"], -1)})
    asking = (clips, gathered(narrations), SameKey("id"))
    if not both:
        return reduce_terms(loss=contrast(*asking, loss=SupConInside(), kernel=Dot()))
    asked = (narrations, gathered(clips), SameKey("id", apart=True))
    own = (clips.z[:, None] * wide(bags)).sum(-1)  # (N, K)
    pull = own.logsumexp(1)
    with torch.no_grad():
        forth = per_row(*asking, loss=SupConInside(), kernel=Dot()) + pull
        back = per_row(*asked, loss=InfoNCE(), kernel=Dot()).view_as(own) + own
        back = back.nan_to_num(-torch.inf, torch.inf)  # a single clip is asked by no narration of another
        whole = torch.logaddexp(forth, back.logsumexp(1))
        share = (back - whole[:, None]).exp()  # of the softmax mass
    first = contrast(*asking, loss=SupConInside(), kernel=Dot(), weight=1 - share.sum(1))
    second = contrast(*asked, loss=InfoNCE(), kernel=Dot(), weight=share.flatten())
    # The slope is that of (1 - share) forth + share back - pull, with shares held; the value is put right beside it.
    slope = first.total + second.total - (share.sum(1) * pull).sum() + (share * own).sum()
    total = slope - slope.detach() + (whole - pull.detach()).sum()
    return reduce_terms(loss=LossTerm(total, exact(total.new_tensor(len(z)))))


def herocon_views(v1: Tensor, v2: Tensor, g1: Tensor, g2: Tensor) -> Tensor:
    """HeroCon's unsupervised term: views of a sample among weighted negatives.

    Take it with `herocon` for several views and labels; for views alone `ntxent`. A weight times e^S is e^(S + log
    weight), so each half of w is a candidate of its own in an inner product twice as wide: exact, and in tiles.

    Args:
        v1: (N, D) embeddings of one view, normalised here.
        v2: (N, D) embeddings of the other view.
        g1: (N, D) a learned transformation of `v1` (a linear layer and a sigmoid in the paper).
        g2: (N, D) that of `v2`.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log(mean_k w_ki e^cos(v1_k, v2_i)) - cos(v1_i, v2_i), w_ki = (e^(1 - cos(g1_k, v2_i)) + e^(1 - cos(g2_k,
        v1_i))) / 2

    Reference:
        Zheng et al. 2022, "Contrastive learning with complex heterogeneity", KDD.

    Example:
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
    relation = SameKey("id") & KeyWeight("pulls") & KeyWeight("counts", what="candidates")
    anchors = rows(torch.cat([b, a], 1))
    return reduce_terms(loss=contrast(anchors, candidates, relation, loss=InfoNCE(), kernel=Dot()))

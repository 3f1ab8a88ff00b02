"""Metric-learning losses on plain tensors: margins, class centres, and the order of scored pairs."""

from typing import Any, Literal

from torch import Tensor

from kontrast.core.embeddings import Embeddings
from kontrast.core.normalize import sphere
from kontrast.core.ranks import Ranks
from kontrast.layers.proxies import as_rows
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import adapters, input_checks
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.functional.by_query import MINING, mined_triplet
from kontrast.losses.functional.pair_terms import share, whole_batch
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.pairwise.angle import AnglE
from kontrast.losses.pairwise.arcface import ArcFace
from kontrast.losses.pairwise.circle import Circle
from kontrast.losses.pairwise.cosent import CoSENT
from kontrast.losses.pairwise.cosface import CosFace
from kontrast.losses.pairwise.multi_similarity import MultiSimilarity
from kontrast.losses.pairwise.proxy_anchor import ProxyAnchor
from kontrast.losses.pairwise.triplet import Triplet
from kontrast.losses.relations.same_key import SameKey


def triplet(
    z: Tensor,
    labels: Any,
    *,
    margin: float = 0.2,
    triplets: Literal["all", "semihard", "hard", "easy", "distance"] = "all",
    soft: bool = False,
    seed: int = 0,
) -> Tensor:
    """Triplet loss: positives closer than negatives by a margin, on the sphere.

    Take it for retrieval or verification with labels; `multi_similarity` and `supcon` usually learn faster.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) classes: whole numbers, bools or names; -1, None and NaN are unknown.
        margin: In squared distance, at least 0; 0.2 as in FaceNet.
        triplets: "all"; "semihard", "hard", as `Triplet` mines them; "easy", each anchor's nearest positive;
            "distance", negatives sampled by distance.
        soft: softplus instead of relu; False by default.
        seed: Of the draw for "distance"; pass the number of the step.

    Returns:
        A scalar, the mean over triplets.

    Raises:
        UserError: No label that two rows have, shapes that do not fit, or a setting outside its bounds.

    Equation:
        L = mean of [|z_i - z_p|^2 - |z_i - z_n|^2 + margin]+ over triplets (i, p, n).

    Reference:
        Schroff et al. 2015, arXiv:1503.03832; Hermans et al. 2017, arXiv:1703.07737.

    Example:
        >>> triplet(torch.eye(4), torch.tensor([0, 0, 1, 1]))
        tensor(0.2000)
    """
    seed, _ = input_checks.whole(seed, "seed"), input_checks.choice(triplets, "triplets", MINING)
    if triplets == "easy" or triplets == "distance":
        return mined_triplet(z, labels, Triplet(margin=margin, soft=soft), triplets, seed)
    return _labelled(z, labels, Triplet(margin=margin, triplets=triplets, soft=soft), scale=2.0)


def circle(z: Tensor, labels: Any, *, margin: float = 0.25, scale: float = 256.0) -> Tensor:
    """Circle loss: pulls and pushes each pair in proportion to its distance from the optimum.

    Take it for retrieval with labels if `triplet` stalls.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) classes: whole numbers, bools or names; -1, None and NaN are unknown.
        margin: m, from 0 to 1; 0.25 as in the paper for faces. pytorch-metric-learning has 0.4.
        scale: g, above 0; 256 as in the paper for faces. pytorch-metric-learning has 80.

    Returns:
        A scalar, the mean over anchors with a positive and a negative.

    Raises:
        UserError: No label that two rows have, shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log(1 + sum_n e^{g a_n (S_n - m)} sum_p e^{-g a_p (S_p - 1 + m)}), a_p = [1 + m - S_p]+, a_n = [S_n + m]+,
        S the cosine.

    Reference:
        Sun et al. 2020, arXiv:2002.10857.

    Example:
        >>> circle(torch.eye(4), torch.tensor([0, 0, 1, 1]), scale=8)
        tensor(7.6936)
    """
    return _labelled(z, labels, Circle(margin=margin, scale=scale))


def multi_similarity(
    z: Tensor, labels: Any, *, pull: float = 2.0, push: float = 50.0, centre: float = 0.5, slack: float | None = 0.1
) -> Tensor:
    """Multi-similarity: mines hard pairs and weighs them by all similarities.

    A strong default for retrieval with labels and several rows per class.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) classes: whole numbers, bools or names; -1, None and NaN are unknown.
        pull: a, above 0; 2 as in the paper and in pytorch-metric-learning.
        push: b, above 0; 50 as in the paper and in pytorch-metric-learning.
        centre: c, a cosine; 0.5 as in the authors' code and pytorch-metric-learning, 1 in the paper.
        slack: Of the mining; 0.1 as in the paper. None keeps all pairs.

    Returns:
        A scalar, the mean over anchors that have a positive.

    Raises:
        UserError: No label that two rows have, shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log(1 + sum_p e^{-a (S_p - c)}) / a + log(1 + sum_n e^{b (S_n - c)}) / b over mined p and n, S the cosine.

    Reference:
        Wang et al. 2019, arXiv:1904.06627.

    Example:
        >>> multi_similarity(torch.eye(4), torch.tensor([0, 0, 1, 1]))
        tensor(0.6566)
    """
    return _labelled(z, labels, MultiSimilarity(pull=pull, push=push, centre=centre, slack=slack))


def arcface(z: Tensor, labels: Any, proxies: Tensor, *, margin: float = 0.5, scale: float = 64.0) -> Tensor:
    """ArcFace: softmax over class centres with an angular margin.

    Take it for recognition with many known classes; `cosface` is more forgiving of noisy labels.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) class numbers from 0 to C - 1; -1, None and NaN are unknown.
        proxies: (C, D) class centres, normalised here; make them a parameter.
        margin: Radians, from 0 to pi; 0.5 as in the paper.
        scale: Inverse temperature, above 0; 64 as in the paper.

    Returns:
        A scalar, the mean over rows of a known class.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log sum_c e^{T_ic} - T_iy, T_iy = scale cos(angle_iy + margin), T_ic = scale cos(angle_ic) for c != y.

    Reference:
        Deng et al. 2019, arXiv:1801.07698.

    Example:
        >>> arcface(torch.eye(4), torch.tensor([0, 0, 1, 1]), torch.eye(4)[:2])
        tensor(39.0124)
    """
    return _centred(z, labels, proxies, ArcFace(margin=margin, scale=scale))


def cosface(z: Tensor, labels: Any, proxies: Tensor, *, margin: float = 0.35, scale: float = 64.0) -> Tensor:
    """CosFace: softmax over class centres with a margin of the cosine.

    Take it for recognition with many known classes.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) class numbers from 0 to C - 1; -1, None and NaN are unknown.
        proxies: (C, D) class centres, normalised here; make them a parameter.
        margin: Of the cosine, from 0 to 2; 0.35 as in the paper and in pytorch-metric-learning.
        scale: Inverse temperature, above 0; 64 as in the paper and in pytorch-metric-learning.

    Returns:
        A scalar, the mean over rows of a known class.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log sum_c e^{T_ic} - T_iy, T_ic = scale (cos_ic - margin [c = y]).

    Reference:
        Wang et al. 2018, arXiv:1801.09414.

    Example:
        >>> cosface(torch.eye(4), torch.tensor([0, 0, 1, 1]), torch.eye(4)[:2])
        tensor(32.8000)
    """
    return _centred(z, labels, proxies, CosFace(margin=margin, scale=scale))


def proxy_anchor(z: Tensor, labels: Any, proxies: Tensor, *, margin: float = 0.1, scale: float = 32.0) -> Tensor:
    """Proxy-anchor: class centres are anchors against the batch.

    Take it for retrieval with labels if batches hold few rows per class; classes must be known.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) class numbers from 0 to C - 1; -1, None and NaN are unknown.
        proxies: (C, D) class centres, normalised here; make them a parameter.
        margin: Of the cosine, from 0 to 2; 0.1 as in the paper and in pytorch-metric-learning.
        scale: Inverse temperature, above 0; 32 as in the paper and in pytorch-metric-learning.

    Returns:
        A scalar, the sum of two means over proxies.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L = mean over proxies with a sample of log(1 + sum_p e^{-scale (S_p - margin)}) + mean over all proxies of log(1
        + sum_n e^{scale (S_n + margin)}).

    Reference:
        Kim et al. 2020, arXiv:2003.13911.

    Example:
        >>> proxy_anchor(torch.eye(4), torch.tensor([0, 0, 1, 1]), torch.eye(4)[:2])
        tensor(23.1333)
    """
    centres, rows = _classes(z, labels, proxies)
    everyone = Ranks().gather({"z": rows})["z"]
    pull, push = (
        contrast(
            centres, everyone, SameKey("label"), loss=ProxyAnchor(side=side, margin=margin, scale=scale), kernel=Dot()
        )
        for side in ("pull", "push")
    )
    return share({"pull": pull, "push": push}, "no rows.")


def cosent(z1: Tensor, z2: Tensor, scores: Any, *, scale: float = 20.0) -> Tensor:
    """CoSENT: cosines of pairs ordered as their gold scores.

    Take it for text pairs with graded similarity, of which only the order is read.

    Args:
        z1: (N, D) first elements of the pairs, normalised here.
        z2: (N, D) second elements.
        scores: (N,) gold similarities of the pairs.
        scale: Inverse temperature, above 0; 20 as in the authors' code and in sentence-transformers.

    Returns:
        A scalar, of the whole batch.

    Raises:
        UserError: No two pairs with different scores, or shapes that do not fit.

    Equation:
        L = log(1 + sum over pairs k, l with scores_k > scores_l of e^{scale (cos_l - cos_k)})

    Reference:
        Su 2022, "CoSENT"; Huang et al. 2024, IEEE/ACM TASLP 32.

    Example:
        >>> cosent(torch.eye(3), torch.eye(3)[[0, 1, 1]], torch.tensor([0.1, 0.9, 0.5]))
        tensor(20.)
    """
    return whole_batch(z1, z2, CoSENT(scale=scale), scores=scores)


def angle(z1: Tensor, z2: Tensor, scores: Any, *, scale: float = 20.0) -> Tensor:
    """AnglE: pairs ordered by their angle in the complex plane.

    Take it beside `cosent` or `infonce`, as the paper does.

    Args:
        z1: (N, D) first elements of the pairs, D even.
        z2: (N, D) second elements.
        scores: (N,) gold similarities of the pairs.
        scale: Inverse temperature, above 0; 20 as in the paper and in sentence-transformers.

    Returns:
        A scalar, of the whole batch.

    Raises:
        UserError: No two pairs with different scores, an odd D, or shapes that do not fit.

    Equation:
        L = log(1 + sum over pairs k, l with scores_k > scores_l of e^{scale (A_l - A_k)}), A = |cos + sin| of the
        complex vectors.

    Reference:
        Li & Li 2023, arXiv:2309.12871.

    Example:
        >>> angle(torch.eye(4), torch.eye(4)[[0, 1, 1, 1]], torch.tensor([0.1, 0.9, 0.5, 0.2]))
        tensor(20.6931)
    """
    return whole_batch(z1, z2, AnglE(scale=scale), scores=scores)


def _labelled(z: Tensor, labels: Any, loss: ContrastiveLoss, scale: float = 1.0) -> Tensor:
    rows = adapters.rows(
        sphere(input_checks.embeddings(z)) * scale**0.5, keys={"label": input_checks.labels(labels, z)}
    )
    mean = contrast(rows, Ranks().gather({"z": rows})["z"], SameKey("label"), loss=loss, kernel=Dot())
    needs = "it takes a label that two rows have, and a row of another label. Draw several samples of a class."
    return share({type(loss).__name__.lower(): mean}, needs)


def _classes(z: Tensor, labels: Any, proxies: Tensor) -> tuple[Embeddings, Embeddings]:
    """Centres, and rows of a known class.

    A row of unknown class belongs to some centre too, so it is pushed from none.
    """
    input_checks.centres(proxies, input_checks.embeddings(z), "proxies")
    rows = adapters.rows(sphere(z), keys={"label": input_checks.labels(labels, z, classes=len(proxies))})
    return as_rows(sphere(proxies).to(rows.z.dtype)), rows[rows.keys["label"] != input_checks.UNKNOWN]


def _centred(z: Tensor, labels: Any, proxies: Tensor, loss: ContrastiveLoss) -> Tensor:
    centres, rows = _classes(z, labels, proxies)
    mean = contrast(rows, centres, SameKey("label"), loss=loss, kernel=Dot())
    return share({type(loss).__name__.lower(): mean}, "no rows.")

"""Who is measured by `benchmarks.losses`, one function a loss and library: (x, y, labels) -> a scalar."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.losses import functional
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.adapters import views
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.tile_weights import Weights

T = 0.1  # the temperature of all; others' conventions that differ are in `benchmarks.losses`


class Own(ContrastiveLoss):
    """What a user writes without a thought for speed: InfoNCE on plain matrices."""

    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """log sum_k Q e^S - sum_j P S / sum_j P."""
        P, Q = positives.dense(), candidates.dense()
        log_mass = torch.where(Q.bool(), similarity, -torch.inf).logsumexp(-1)
        return log_mass - (P * similarity).sum(-1) / P.sum(-1).clamp_min(1e-12)


def own_tiled(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    both = views(x, y)
    return contrast(both, both, SameKey("id"), loss=Own(), kernel=Cosine(temperature=T)).value()


def own_whole(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    z, n = F.normalize(torch.cat([x, y])), len(x)
    at = torch.arange(2 * n)
    P, Q = (at[:, None] == at.roll(n)).float()[None], (at[:, None] != at)[None]
    return Own().per_anchor((z @ z.T / T)[None], Weights(P.shape, P), Weights(Q.shape, Q)).mean()


def plain_ntxent(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    z = F.normalize(torch.cat([x, y]))
    s = (z @ z.T / T).fill_diagonal_(-torch.inf)
    return F.cross_entropy(s, torch.arange(len(z)).roll(len(x)))


def plain_supcon(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    z, label = F.normalize(torch.cat([x, y])), labels.repeat(2)
    s = z @ z.T / T
    P = (label[:, None] == label).float().fill_diagonal_(0)
    log_p = s - s.clone().fill_diagonal_(-torch.inf).logsumexp(1, keepdim=True)
    return -((P * log_p).sum(1) / P.sum(1)).mean()


def plain_clip(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    s, own = F.normalize(x) @ F.normalize(y).T / T, torch.arange(len(x))
    return (F.cross_entropy(s, own) + F.cross_entropy(s.T, own)) / 2


def plain_siglip(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    s = F.normalize(x) @ F.normalize(y).T * 10 - 10
    return -F.logsigmoid(s * (2 * torch.eye(len(x)) - 1)).sum() / len(x)


def plain_barlow(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    a, b = ((z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt() for z in (x, y))
    c = a.T @ b / len(a)
    own = c.diagonal()
    return (1 - own).square().sum() + 0.005 * (c.square().sum() - own.square().sum())


def plain_vicreg(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    spread = sum(F.relu(1 - (z.var(0) + 1e-4).sqrt()).mean() for z in (x, y)) / 2
    total = 25 * F.mse_loss(x, y) + 25 * spread
    for z in (x, y):
        c = (z - z.mean(0)).T @ (z - z.mean(0)) / (len(z) - 1)
        total = total + (c.square().sum() - c.diagonal().square().sum()) / z.shape[1]
    return total


def lightly_barlow(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    from lightly.loss import BarlowTwinsLoss

    return BarlowTwinsLoss()(x, y)


def lightly_vicreg(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    from lightly.loss import VICRegLoss

    return VICRegLoss()(x, y)


def plain_triplet(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    z, label = F.normalize(torch.cat([x, y])), labels.repeat(2)
    s, same = 2 * z @ z.T, label[:, None] == label
    i, p = same.clone().fill_diagonal_(False).nonzero(as_tuple=True)
    return (F.relu(s[i] - s[i, p][:, None] + 0.2) * ~same[i]).sum() / (~same[i]).sum()


def lightly_ntxent(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    from lightly.loss import NTXentLoss

    return NTXentLoss(temperature=T)(x, y)


def metric_ntxent(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    from pytorch_metric_learning import losses

    return losses.SelfSupervisedLoss(losses.NTXentLoss(temperature=T))(x, y)


def metric_supcon(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    from pytorch_metric_learning import losses

    return losses.SupConLoss(temperature=T)(torch.cat([x, y]), labels.repeat(2))


def metric_triplet(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    from pytorch_metric_learning import distances, losses, reducers

    loss = losses.TripletMarginLoss(0.2, distance=distances.LpDistance(power=2), reducer=reducers.MeanReducer())
    return loss(torch.cat([x, y]), labels.repeat(2))


def sentence_clip(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    from sentence_transformers.sentence_transformer import losses

    loss = losses.CachedMultipleNegativesSymmetricRankingLoss(
        torch.nn.Sequential(torch.nn.Identity()), scale=1 / T, mini_batch_size=512
    )
    return loss.calculate_loss([[x], [y]], with_backward=True)  # it runs backward chunk by chunk itself


def sentence_triplet(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    from sentence_transformers.sentence_transformer import losses

    loss = losses.BatchAllTripletLoss(torch.nn.Sequential(torch.nn.Identity()), margin=0.2)
    return loss.batch_all_triplet_loss(labels.repeat(2), F.normalize(torch.cat([x, y])))


def open_clip_loss(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    from open_clip.loss import ClipLoss

    return ClipLoss()(F.normalize(x), F.normalize(y), 1 / T)


def open_siglip(x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
    from open_clip.loss import SigLipLoss

    return SigLipLoss()(F.normalize(x), F.normalize(y), 10.0, -10.0)


Run = Callable[[Tensor, Tensor, Tensor], Tensor]
CONTESTANTS: dict[str, dict[str, Run]] = {
    "NT-Xent": {
        "kontrast": lambda x, y, labels: functional.ntxent(x, y, temperature=T),
        "lightly": lightly_ntxent,
        "pytorch-metric-learning": metric_ntxent,
        "plain PyTorch": plain_ntxent,
    },
    "SupCon": {
        "kontrast": lambda x, y, labels: functional.supcon(torch.cat([x, y]), labels.repeat(2), temperature=T),
        "pytorch-metric-learning": metric_supcon,
        "plain PyTorch": plain_supcon,
    },
    "CLIP": {
        "kontrast": lambda x, y, labels: functional.clip(x, y, temperature=T),
        "open_clip": open_clip_loss,
        "sentence-transformers": sentence_clip,
        "plain PyTorch": plain_clip,
    },
    "SigLIP": {
        "kontrast": lambda x, y, labels: functional.siglip(x, y),
        "open_clip": open_siglip,
        "plain PyTorch": plain_siglip,
    },
    "Barlow Twins": {
        "kontrast": lambda x, y, labels: functional.barlow(x, y),
        "lightly": lightly_barlow,
        "plain PyTorch": plain_barlow,
    },
    "VICReg": {
        "kontrast": lambda x, y, labels: functional.vicreg(x, y),
        "lightly": lightly_vicreg,
        "plain PyTorch": plain_vicreg,
    },
    "triplet": {
        "kontrast": lambda x, y, labels: functional.triplet(torch.cat([x, y]), labels.repeat(2)),
        "pytorch-metric-learning": metric_triplet,
        "sentence-transformers": sentence_triplet,
        "plain PyTorch": plain_triplet,
    },
    "own": {"kontrast": own_tiled, "plain PyTorch": own_whole},
}
FACING = {"CLIP", "SigLIP", "Barlow Twins", "VICReg"}  # pairs x pairs (or features); the others 2 pairs x 2 pairs
CUBIC = {("NT-Xent", "pytorch-metric-learning")}  # it lays each positive pair beside all negative pairs

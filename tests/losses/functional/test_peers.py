"""The values and gradients that lightly, pytorch-metric-learning, open_clip and sentence-transformers gave, frozen.

peers.json holds of each of their losses its value on `inputs()`, and the inner products of its gradients by z1 and z2
with `direction()`, in float64. They were computed with the versions named there; here they need not be installed.
"""

import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

import kontrast as kt

N, D = 12, 8
FROZEN = json.loads((Path(__file__).parent / "peers.json").read_text())
L = kt.losses


def inputs():
    """Two views of 12 rows and their labels, from formulas, so that no random generator need stay the same."""
    i, j = torch.arange(N, dtype=torch.float64)[:, None], torch.arange(D, dtype=torch.float64)[None]
    z1 = (1 + 7 * i + 3 * j + 0.37 * i * j).sin().requires_grad_()
    z2 = (2 + 5 * i + 2 * j + 0.61 * i * j).cos().requires_grad_()
    return z1, z2, torch.arange(N) % 4


def direction():
    i, j = torch.arange(N, dtype=torch.float64)[:, None], torch.arange(D, dtype=torch.float64)[None]
    return (3 + i + 2 * j).sin()


def centred(loss, classes):
    """A loss with these class centres."""
    c, d = torch.arange(classes, dtype=torch.float64)[:, None], torch.arange(D, dtype=torch.float64)[None]
    loss.double().proxies.data = (1 + 2 * c + d).cos()
    return loss


def both(a, b, y):
    return torch.cat([a, b]), y.repeat(2)


def triplets(**settings):
    return lambda a, b, y: L.Triplet(margin=0.2, **settings)(*both(a, b, y))


def learned(scale, bias=None):
    loss = L.SigLIP(temperature=1 / scale, bias=bias).double()
    return lambda a, b, y: loss(a, b)


# What to write here for the same, where the defaults differ.
OURS = {
    "NTXentLoss(temperature=0.3)": lambda a, b, y: L.NTXent(temperature=0.3)(a, b),
    "lightly NTXentLoss()": lambda a, b, y: L.NTXent(temperature=0.5)(a, b),
    "DCLLoss()": lambda a, b, y: L.DCL()(a, b),
    "DCLWLoss()": lambda a, b, y: L.DCLW()(a, b),
    "BarlowTwinsLoss()": lambda a, b, y: L.BarlowTwins()(a, b),
    "VICRegLoss()": lambda a, b, y: L.VICReg()(a, b),
    "NegativeCosineSimilarity()": lambda a, b, y: L.SimSiam()(a, b),
    "SwaVLoss()": lambda a, b, y: L.SwAV()(normalize(a, dim=1), normalize(b, dim=1)),
    "DINOLoss(output_dim=8)": lambda a, b, y: L.DINO(dim=8, teacher_temperature=0.04).double()([a, b], [a, b]),
    "HypersphereLoss(t=1.0, lam=1.0)": lambda a, b, y: L.AlignUniform(t=1.0)(a, b),
    "WMSELoss(embedding_dim=4, w_size=12)": lambda a, b, y: L.WMSE(shrink=0.0)(a[:, :4], b[:, :4]),
    "SupConLoss()": lambda a, b, y: L.SupCon()(*both(a, b, y)),
    "pytorch-metric-learning NTXentLoss()": lambda a, b, y: L.MultiPositive(temperature=0.07)(*both(a, b, y)),
    "SelfSupervisedLoss(NTXentLoss(temperature=0.3))": lambda a, b, y: L.NTXent(temperature=0.3)(a, b),
    "NCALoss(softmax_scale=2)": lambda a, b, y: L.SoftNearestNeighbour(temperature=0.5)(
        normalize(torch.cat([a, b]), dim=1), y.repeat(2)
    ),
    "TripletMarginLoss(0.2, squared, MeanReducer)": triplets(),
    "TripletMarginLoss(0.2, squared, MeanReducer), BatchHardMiner": triplets(mining="hard"),
    "CircleLoss()": lambda a, b, y: L.Circle(margin=0.4, scale=80.0)(*both(a, b, y)),
    "MultiSimilarityLoss(), MultiSimilarityMiner(0.1)": lambda a, b, y: L.MultiSimilarity()(*both(a, b, y)),
    "MultiSimilarityLoss()": lambda a, b, y: L.MultiSimilarity(slack=None)(*both(a, b, y)),
    "ArcFaceLoss(4, 8)": lambda a, b, y: centred(L.ArcFace(num_classes=4, dim=8, margin=math.radians(28.6)), 4)(a, y),
    "CosFaceLoss(4, 8)": lambda a, b, y: centred(L.CosFace(num_classes=4, dim=8), 4)(a, y),
    "ProxyAnchorLoss(5, 8)": lambda a, b, y: centred(L.ProxyAnchor(num_classes=5, dim=8), 5)(a, y),
    "ContrastiveLoss(MeanReducer)": lambda a, b, y: L.PairMargin(power=1.0)(a, y),
    "ClipLoss()(n(z1), n(z2), 14.0)": lambda a, b, y: L.CLIP(temperature=1 / 14)(a, b),
    "SigLipLoss()(n(z1), n(z2), 10.0, -3.0)": learned(10.0, -3.0),
    "CoSENTLoss()": lambda a, b, y: L.CoSENT()(a, b, y),
    "AnglELoss()": lambda a, b, y: L.AnglE()(a, b, y),
    "MultipleNegativesRankingLoss()": lambda a, b, y: L.InfoNCE()(a, b),
    "MultipleNegativesRankingLoss(), hard negatives": lambda a, b, y: L.InfoNCE()(a, b, a.flip(0)),
    "MultipleNegativesRankingLoss(hardness_mode=in_batch_negatives, hardness_strength=9)": (
        lambda a, b, y: L.InfoNCE(hardness=9.0)(a, b)
    ),
    "BatchSemiHardTripletLoss(margin=0.2, squared)": triplets(mining="semihard"),
}


def mined(relation):
    """Triplets of pairs that a miner picks, in squared distance on the sphere."""
    from kontrast.losses.kernels.cosine import Cosine
    from kontrast.losses.pairwise.triplet import Triplet

    loss = L.Contrastive(loss=Triplet(margin=0.2), kernel=Cosine(temperature=0.5).double(), relation=relation)
    return lambda a, b, y: loss(torch.cat([a, b]), {"label": y.repeat(2)})


def miners():
    from kontrast.losses.relations.easy_positive import EasyPositive
    from kontrast.losses.relations.hard import Hard
    from kontrast.losses.relations.same_key import SameKey
    from kontrast.losses.relations.semi_hard import SemiHard

    same, first = SameKey("label"), "TripletMarginLoss(0.2, squared, MeanReducer), BatchEasyHardMiner"
    return {
        f"{first}(easy, hard)": mined(Hard(EasyPositive(same), sides="negatives")),
        f"{first}(easy, semihard)": mined(SemiHard(EasyPositive(same))),
        f"{first}(hard, semihard)": mined(SemiHard(Hard(same, sides="positives"))),
    }


@pytest.mark.parametrize("name", FROZEN)
def test_it_is_what_the_peer_gave(name):
    peer, call = name.split(": ", 1)
    ours = {**OURS, **miners()}
    a, b, y = inputs()
    value = (ours.get(call) or ours[f"{peer.split()[0]} {call}"])(a, b, y)
    found = torch.autograd.grad(value, [a, b], allow_unused=True, materialize_grads=True)
    numbers = [value, *((d * direction()).sum() for d in found)]
    torch.testing.assert_close(
        torch.stack(numbers).detach(), torch.tensor(FROZEN[name], dtype=torch.float64), rtol=3e-6, atol=3e-6
    )

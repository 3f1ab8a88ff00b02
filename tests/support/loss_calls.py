"""Calls of every loss module and of its function, with the inputs that each takes."""

import copy
import inspect

import torch

import kontrast as kt
from kontrast.losses import functional as F
from kontrast.losses.relations.same_key import SameKey

N, D = 12, 6
LABELS = torch.arange(N) % 4
IDS = torch.arange(N)


def views(dtype=torch.float32, n=N, seed=0):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(n, D, generator=g, dtype=torch.float64).to(dtype).requires_grad_() for _ in range(2)]


def soft():
    return 0.8 * torch.eye(4)[LABELS] + 0.05


def multi():
    return torch.tensor([[1, 0, 1], [1, 1, 0], [0, 1, 0], [0, 0, 1]])[LABELS]


def scores(z):
    return z.sum(1)


def wrapped():
    return kt.losses.NTXent()


# The settings, the call of the module and the call of its function with its defaults, of two views.
CASES = {
    "AlignUniform": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.align_uniform(a, b)),
    "AnglE": ({}, lambda m, a, b: m(a, b, IDS * 7 % 5), lambda m, a, b: F.angle(a, b, IDS * 7 % 5)),
    "ArcFace": (
        {"num_classes": 5, "dim": D},
        lambda m, a, b: m(a, LABELS),
        lambda m, a, b: F.arcface(a, LABELS, m.proxies),
    ),
    "BCL": ({"num_classes": 4, "dim": D}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.bcl(a, LABELS, m.centres)),
    "BPR": ({}, lambda m, a, b: m(scores(a), scores(b)), lambda m, a, b: F.bpr(scores(a), scores(b))),
    "BYOL": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.byol(a, b)),
    "BarlowTwins": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.barlow(a, b)),
    "CLICK": ({}, lambda m, a, b: m(scores(a), scores(b)), lambda m, a, b: F.click(scores(a), scores(b))),
    "CLIP": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.clip(a, b)),
    "CPL": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.cpl(a, b)),
    "Circle": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.circle(a, LABELS)),
    "CoSENT": ({}, lambda m, a, b: m(a, b, IDS * 7 % 5), lambda m, a, b: F.cosent(a, b, IDS * 7 % 5)),
    "Contrastive": (
        {"relation": SameKey("label")},
        lambda m, a, b: m(a, {"label": LABELS}),
        lambda m, a, b: F.supcon(a, LABELS),
    ),
    "CosFace": (
        {"num_classes": 5, "dim": D},
        lambda m, a, b: m(a, LABELS),
        lambda m, a, b: F.cosface(a, LABELS, m.proxies),
    ),
    "CrossBatchMemory": ({"dim": D}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.pair_margin(a, LABELS)),
    "DCL": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.dcl(a, b)),
    "DCLW": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.dclw(a, b)),
    "DINO": ({"dim": D}, lambda m, a, b: m([a, b], [a, b]), lambda m, a, b: F.dino([a, b], [a.detach(), b.detach()])),
    "DPO": (
        {},
        lambda m, a, b: m(a[:, 0], b[:, 0], a[:, 1], b[:, 1]),
        lambda m, a, b: F.dpo(a[:, 0], b[:, 0], a[:, 1], b[:, 1]),
    ),
    "Debiased": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.debiased(a, b)),
    "FSCL": ({}, lambda m, a, b: m(a, LABELS, IDS // 6), lambda m, a, b: F.fscl(a, LABELS, IDS // 6)),
    "GenSCL": ({}, lambda m, a, b: m(a, soft()), lambda m, a, b: F.gensupcon(a, soft())),
    "HardNegative": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.hard_negative(a, b)),
    "HeroCon": ({}, lambda m, a, b: m(a, multi()), lambda m, a, b: F.herocon(a, multi())),
    "HeroConViews": (
        {"dim": D},
        lambda m, a, b: m(a, b),
        lambda m, a, b: F.herocon_views(a, b, m.transform(a), m.transform(b)),
    ),
    "InfoNCE": ({}, lambda m, a, b: m(a, b, a.flip(0)), lambda m, a, b: F.infonce(a, b, a.flip(0))),
    "InstanceDiscrimination": (
        {"rows": 20, "dim": D},
        lambda m, a, b: m(a, IDS),
        lambda m, a, b: F.instance_discrimination(a, IDS, m.memory),
    ),
    "JSD": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.jsd(a, b)),
    "KCL": ({}, lambda m, a, b: m(a, LABELS, IDS), lambda m, a, b: F.kcl(a, LABELS, IDS)),
    "MILNCE": ({}, lambda m, a, b: m(a, torch.stack([b, a], 1)), lambda m, a, b: F.mil_nce(a, torch.stack([b, a], 1))),
    "Matryoshka": (
        {"loss": wrapped, "dims": (D, 2)},
        lambda m, a, b: m(a, b),
        lambda m, a, b: F.ntxent(a, b) + F.ntxent(a[:, :2], b[:, :2]),
    ),
    "MoCo": ({"dim": D, "queue": 20}, lambda m, a, b: m(a, b), lambda m, a, b: F.moco(a, b, m.queue)),
    "MultiPositive": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.multi_positive(a, LABELS)),
    "MultiSimilarity": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.multi_similarity(a, LABELS)),
    "NPair": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.npair(a, b)),
    "NTXent": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.ntxent(a, b)),
    "PaCo": ({"num_classes": 4, "dim": D}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.paco(a, LABELS, m.centres)),
    "PairMargin": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.pair_margin(a, LABELS)),
    "ProxyAnchor": (
        {"num_classes": 5, "dim": D},
        lambda m, a, b: m(a, LABELS),
        lambda m, a, b: F.proxy_anchor(a, LABELS, m.proxies),
    ),
    "RankNContrast": ({}, lambda m, a, b: m(a, IDS * 7 % 5), lambda m, a, b: F.rnc(a, IDS * 7 % 5)),
    "SigLIP": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.siglip(a, b, scale=1 / m.temperature(), bias=m.bias)),
    "SimPO": (
        {},
        lambda m, a, b: m(scores(a), scores(b), IDS + 1, IDS + 2),
        lambda m, a, b: F.simpo(scores(a), scores(b), IDS + 1, IDS + 2),
    ),
    "SimSiam": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.simsiam(a, b)),
    "SoftNearestNeighbour": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.soft_nearest_neighbour(a, LABELS)),
    "SogCLR": (
        {"rows": 20},
        lambda m, a, b: m(a, b, IDS),
        lambda m, a, b: F.sogclr(a, b, IDS, copy.deepcopy(m.estimates)),
    ),
    "Spectral": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.spectral(a, b)),
    "SupCon": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.supcon(a, LABELS)),
    "SupConInside": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.supcon_inside(a, LABELS)),
    "SwAV": (
        {"dim": D, "prototypes": 5},
        lambda m, a, b: m(a, b),
        lambda m, a, b: F.swav([m.prototypes(a), m.prototypes(b)]),
    ),
    "TSC": (
        {"num_classes": 4, "dim": D},
        lambda m, a, b: m(a, LABELS, IDS),
        lambda m, a, b: F.tsc(a, LABELS, IDS, m.points),
    ),
    "Triplet": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.triplet(a, LABELS)),
    "VICReg": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.vicreg(a, b)),
    "WMSE": ({"shrink": 0.1}, lambda m, a, b: m(a, b), lambda m, a, b: F.wmse(a, b, shrink=0.1)),
}  # fmt: skip


def built(name, **more):
    torch.manual_seed(0)
    settings = {k: v() if inspect.isfunction(v) else v for k, v in CASES[name][0].items()}
    return getattr(kt.losses, name)(**settings, **more)


def takes(name, setting):
    return setting in inspect.signature(getattr(kt.losses, name)).parameters


def grads(value, module, *inputs):
    wanted = [*inputs, *(p for p in module.parameters() if p.requires_grad)]
    return torch.autograd.grad(value, wanted, allow_unused=True, materialize_grads=True)

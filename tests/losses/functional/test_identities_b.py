"""Published losses, written down from their papers in numpy, are what the public functions compute."""

import numpy as np
import pytest
import torch

from kontrast.losses import functional

pytestmark = pytest.mark.quick

rng = np.random.default_rng(0)
N, D, C = 12, 16, 4


def sphere(z):
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def softplus(x):
    return np.logaddexp(0, x)


def log_sum(x):
    top = x.max(-1, keepdims=True)
    return (np.log(np.exp(x - top).sum(-1, keepdims=True)) + top).squeeze(-1)


z1, z2 = sphere(rng.normal(size=(N, D))), sphere(rng.normal(size=(N, D)))
f, g = rng.normal(size=(N, D)) * 0.3, rng.normal(size=(N, D)) * 0.3
y = rng.integers(0, C, N)
z, yy, M = np.vstack([z1, z2]), np.r_[y, y], 2 * N
eye = np.eye(N)
centres = sphere(rng.normal(size=(C, D)))
won, lost, won_before, lost_before = (rng.normal(size=N) - 5 for _ in range(4))
won_tokens, lost_tokens = rng.integers(5, 20, N), rng.integers(5, 20, N)
gold = rng.permutation(N) * 1.0
t = torch.from_numpy


def siglip():
    logits = 10 * z1 @ z2.T - 10
    return -np.log(1 / (1 + np.exp(-(2 * eye - 1) * logits))).sum() / N


def jsd():
    s = z1 @ z2.T
    push = ((softplus(-s) + s - np.log(2)) * (1 - eye)).sum() / (N * N - N)
    return push - ((np.log(2) - softplus(-s)) * eye).sum() / N


def spectral():
    s = f @ g.T
    return -2 * np.mean(np.diag(s)) + np.mean(s[eye == 0] ** 2)


def triplet():
    d = ((z[:, None] - z[None]) ** 2).sum(-1)
    return np.mean(
        [
            max(0, d[i, j] - d[i, k] + 0.2)
            for i in range(M)
            for j in range(M)
            if j != i and yy[j] == yy[i]
            for k in range(M)
            if yy[k] != yy[i]
        ]
    )


def cosent():
    s = 20 * (z1 * z2).sum(1)
    return np.log(1 + sum(np.exp(s[k] - s[i]) for i in range(N) for k in range(N) if gold[i] > gold[k]))


def softmax_of_centres():
    """Cross-entropy over class centres is ArcFace and CosFace without a margin."""
    s = 8 * z @ centres.T
    return np.mean(log_sum(s) - s[np.arange(M), yy])


def barlow():
    a, b = ((v - v.mean(0)) / np.sqrt(v.var(0) + 1e-5) for v in (f, g))
    c = a.T @ b / N
    return ((1 - np.diag(c)) ** 2).sum() + 0.005 * ((c * (1 - np.eye(D))) ** 2).sum()


def swav():
    def codes(s):
        q = np.exp(s / 0.05)
        for _ in range(3):
            q /= q.sum(0, keepdims=True)
            q /= q.sum(1, keepdims=True)
        return q

    s, u = z1 @ centres.T, z2 @ centres.T
    ce = lambda q, p: np.mean(-(q * (p / 0.1 - log_sum(p / 0.1)[:, None])).sum(1))  # noqa: E731
    return (ce(codes(s), u) + ce(codes(u), s)) / 2


def dpo():
    return np.mean(-np.log(1 / (1 + np.exp(-0.1 * ((won - won_before) - (lost - lost_before))))))


def simpo():
    return np.mean(-np.log(1 / (1 + np.exp(-(2 * won / won_tokens - 2 * lost / lost_tokens - 1)))))


def cpl():
    a, b = 0.1 * won * 5, 0.1 * lost * 5
    return np.mean(-np.log(np.exp(a) / (np.exp(a) + np.exp(0.5 * b))))


IDENTITIES = {
    "SigLIP": (siglip, lambda: functional.siglip(t(z1), t(z2))),
    "JSD (InfoGraph, MVGRL)": (jsd, lambda: functional.jsd(t(z1), t(z2))),
    "spectral contrastive": (spectral, lambda: functional.spectral(t(f), t(g))),
    "triplet, all, FaceNet's margin": (triplet, lambda: functional.triplet(t(z), t(yy))),
    "ArcFace without margin": (
        softmax_of_centres,
        lambda: functional.arcface(t(z), t(yy), t(centres), margin=0, scale=8),
    ),
    "CosFace without margin": (
        softmax_of_centres,
        lambda: functional.cosface(t(z), t(yy), t(centres), margin=0, scale=8),
    ),
    "CoSENT": (cosent, lambda: functional.cosent(t(z1), t(z2), t(gold))),
    "BYOL": (lambda: np.mean([2 - 2 * z1[i] @ z2[i] for i in range(N)]), lambda: functional.byol(t(z1), t(z2))),
    "Barlow Twins": (barlow, lambda: functional.barlow(t(f), t(g))),
    "SwAV": (swav, lambda: functional.swav([t(z1 @ centres.T), t(z2 @ centres.T)])),
    "DPO": (dpo, lambda: functional.dpo(t(won), t(lost), t(won_before), t(lost_before))),
    "SimPO": (simpo, lambda: functional.simpo(t(won), t(lost), t(won_tokens), t(lost_tokens))),
    "CLICK": (lambda: np.mean(np.maximum(0, 20 - won + lost)), lambda: functional.click(t(won), t(lost))),
    "CPL": (cpl, lambda: functional.cpl(5 * t(won), 5 * t(lost))),
    "BPR is DPO without a reference": (
        lambda: functional.dpo(t(won), t(lost), t(0 * won), t(0 * lost), beta=1).item(),
        lambda: functional.bpr(t(won), t(lost)),
    ),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_a_published_loss_is_what_the_public_function_computes(name):
    published, ours = IDENTITIES[name]
    assert ours().item() == pytest.approx(published(), rel=1e-9, abs=1e-12)


def test_cosent_and_angle_agree_where_the_imaginary_part_is_zero():
    half = torch.zeros(N, D // 2, dtype=torch.float64)
    x, w = (torch.cat([t(np.abs(v[:, : D // 2])), half], 1) for v in (z1, z2))  # no imaginary part, no negative cosine
    torch.testing.assert_close(functional.angle(x, w, t(gold)), functional.cosent(x, w, t(gold)))

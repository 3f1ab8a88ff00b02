"""Published losses, written as float64 loops from their papers, are what the public functions give, slope included."""

import math

import pytest
import torch
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.layers.estimates import Estimates
from kontrast.layers.memory_bank import MemoryBank
from kontrast.losses import functional as L
from kontrast.losses.contrastive.herocon import HeroCon
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.label_column import LabelColumn

N, D, C, T = 9, 6, 3, 0.5
G = torch.Generator().manual_seed(0)
EXACT = {"rtol": 1e-6, "atol": 1e-6}  # Cosine keeps its temperature in float32


def randn(*shape):
    return torch.randn(*shape, generator=G, dtype=torch.float64)


LEAVES = RAW1, RAW2, CENTRES = [randn(n, D).requires_grad_() for n in (N, N, C)]
Z1, Z2, CEN = F.normalize(RAW1, dim=1), F.normalize(RAW2, dim=1), F.normalize(CENTRES, dim=1)
Z, RAW = torch.cat([Z1, Z2]), torch.cat([RAW1, RAW2])
Y1 = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 1])
Y, S, M = Y1.repeat(2), Z @ Z.T / T, 2 * N
SEX = torch.tensor([0, 1, 1, 1, 0, 0, 0, 1, 1]).repeat(2)
IDS = torch.arange(N).repeat(2)
OTHERS = [[k for k in range(M) if k != i] for i in range(M)]


def lse(values):
    return torch.stack(list(values)).logsumexp(0)


def mean(values):
    return torch.stack(list(values)).mean()


def close(found, wanted):
    """In value and in the gradient towards all embeddings."""
    torch.testing.assert_close(found, wanted, **EXACT)
    if wanted.requires_grad:
        for leaf in LEAVES:
            both = [torch.autograd.grad(v, leaf, retain_graph=True, allow_unused=True)[0] for v in (found, wanted)]
            torch.testing.assert_close(*(torch.zeros_like(leaf) if g is None else g for g in both), **EXACT)


def pair(i):
    return (i + N) % M


def same(i):
    return [j for j in OTHERS[i] if Y[j] == Y[i]]


def test_nt_xent():
    close(L.ntxent(RAW1, RAW2, temperature=T), mean(-S[i, pair(i)] + lse(S[i, k] for k in OTHERS[i]) for i in range(M)))


def test_nt_xent_of_three_views_averages_each_anchors_positives():
    z = F.normalize(torch.cat([RAW1, RAW2, RAW1 + RAW2]), dim=1)
    s = z @ z.T / T
    rows = range(3 * N)
    wanted = mean(
        lse(s[i, k] for k in rows if k != i) - mean(s[i, k] for k in rows if k != i and (k - i) % N == 0) for i in rows
    )
    close(L.ntxent(RAW1, RAW2, RAW1 + RAW2, temperature=T), wanted)


def test_supcon_outside_and_inside():
    out = mean(lse(S[i, k] for k in OTHERS[i]) - mean(S[i, j] for j in same(i)) for i in range(M))
    close(L.supcon(RAW, Y, temperature=T), out)
    summed = mean(lse(S[i, k] for k in OTHERS[i]) - lse(S[i, j] for j in same(i)) for i in range(M))
    close(L.supcon_inside(RAW, Y, temperature=T, mean=False), summed)
    inside = summed + mean(torch.tensor(len(same(i))).double().log() for i in range(M))
    close(L.supcon_inside(RAW, Y, temperature=T), inside)
    assert inside < out  # Jensen


def test_one_positive_supcon_is_nt_xent_inside_or_out():
    for loss in (L.supcon, L.supcon_inside, L.multi_positive):
        close(loss(RAW, IDS, temperature=T), L.ntxent(RAW1, RAW2, temperature=T))


def gen(soft):
    g = F.normalize(soft, dim=1) @ F.normalize(soft, dim=1).T
    return mean(
        sum(g[i, j] * (lse(S[i, k] for k in OTHERS[i]) - S[i, j]) for j in OTHERS[i]) / sum(g[i, j] for j in OTHERS[i])
        for i in range(M)
    )


def test_gen_scl_its_one_hot_case_and_its_distillation_as_one_relation():
    lam = torch.rand(M, 1, generator=G, dtype=torch.float64)
    hot = torch.eye(C, dtype=torch.float64)[Y]
    mixed = lam * hot + (1 - lam) * hot[torch.randperm(M, generator=G)]
    teacher = randn(M, C).softmax(1)
    close(L.gensupcon(RAW, mixed, temperature=T), gen(mixed))
    close(L.gensupcon(RAW, hot, temperature=T), L.supcon(RAW, Y, temperature=T))
    both = gen(mixed) + 0.7 * gen(teacher)
    close(L.gensupcon(RAW, mixed, temperature=T, teacher=teacher, alpha=0.7), both)


def test_the_memory_bank_of_instance_discrimination():
    memory = MemoryBank(samples=20, width=D).double()
    ids = torch.arange(N) * 2
    bank = memory.rows_of
    wanted = mean(lse(Z1[i] @ v / T for v in bank) - Z1[i] @ bank[2 * i] / T for i in range(N))
    close(L.instance_discrimination(RAW1, ids, memory, temperature=T), wanted)
    leaps = mean((Z1[i] - bank[2 * i]).square().sum() for i in range(N))
    close(L.instance_discrimination(RAW1, ids, memory, temperature=T, proximal=30.0), wanted + 30 * leaps)


def test_the_noise_contrastive_form_of_instance_discrimination():
    memory = MemoryBank(samples=20, width=D).double()
    bank, ids, noise = memory.rows_of, torch.arange(N), torch.tensor([3, 15, 19, 7, 7])
    Zc = mean(lse(Z1[i] @ v / T for v in bank).exp() for i in range(N)).detach()  # the sum over the bank, a constant
    m, n = len(noise), len(bank)

    def own(i, slot):  # h(i, v) = P / (P + m / n)
        p = (Z1[i] @ bank[slot] / T).exp() / Zc
        return p / (p + m / n)

    # A noise row that is the anchor's own slot stands among the noise as any other does.
    wanted = mean(-own(i, i).log() - sum((1 - own(i, int(k))).log() for k in noise) for i in range(N))
    found = L.instance_discrimination(RAW1, ids, memory, temperature=T, noise=noise)
    close(found, wanted)
    again = L.instance_discrimination(2 * RAW2, ids, memory, temperature=T, noise=noise)
    assert again != found
    close(memory.log_mean, (Zc / n).log())  # measured once


def test_moco_and_its_queue():
    queue = randn(12, D)
    q = F.normalize(queue, dim=1)
    own = (Z1 * Z2.detach()).sum(1) / T  # no gradient to the keys
    wanted = mean(lse([own[i], *(q @ Z1[i] / T)]) - own[i] for i in range(N))
    close(L.moco(RAW1, RAW2, queue, temperature=T), wanted)
    queries, keys = (z.detach().clone().requires_grad_() for z in (RAW1, RAW2))
    L.moco(queries, keys, queue).backward()
    assert keys.grad is None
    assert queries.grad.abs().sum() > 0


def test_clip_and_its_learned_temperature():
    s = Z1 @ Z2.T / 0.07
    ce = 0.5 * (F.cross_entropy(s, torch.arange(N)) + F.cross_entropy(s.T, torch.arange(N)))
    close(L.clip(RAW1, RAW2), ce)
    t = torch.tensor(0.07, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: L.clip(RAW1, RAW2, temperature=t), (t,))


def test_n_pair_is_cross_entropy_of_bare_dots():
    d = RAW1 @ RAW2.T
    wanted = mean((1 + sum((d[i, k] - d[i, i]).exp() for k in range(N) if k != i)).log() for i in range(N)) + 0.1 * (
        RAW.square().sum() / M
    )
    close(L.npair(RAW1, RAW2, l2=0.1), wanted)


def dcl(w):
    return mean(-w[i] * S[i, pair(i)] + lse(S[i, k] for k in OTHERS[i] if k != pair(i)) for i in range(M))


def test_dcl_and_dclw():
    close(L.dcl(RAW1, RAW2, temperature=T), dcl(torch.ones(M)))
    v = ((Z1 * Z2).sum(1) / 0.5).exp().detach()
    w = 2 - v / v.mean()
    assert w.mean() == pytest.approx(1)
    close(L.dclw(RAW1, RAW2, temperature=T), dcl(w.repeat(2)))


@pytest.mark.parametrize("prior", [0.01, 0.1])
@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_debiased_and_hard_negative_info_nce(prior, beta):
    def g(i):
        neg = torch.stack([S[i, k] for k in OTHERS[i] if k != pair(i)])
        n, pos = M - 2, S[i, pair(i)].exp()
        hard = (beta * neg).exp()
        reweighed = (hard * neg.exp()).sum() / hard.mean()
        return ((reweighed - n * prior * pos) / (1 - prior)).clamp_min(n * math.exp(-1 / T))

    wanted = mean(-(S[i, pair(i)].exp() / (S[i, pair(i)].exp() + g(i))).log() for i in range(M))
    close(L.hard_negative(RAW1, RAW2, temperature=T, prior=prior, hardness=beta), wanted)
    if not beta:
        close(L.debiased(RAW1, RAW2, temperature=T, prior=prior), wanted)


def test_fair_supcon_and_its_group_wise_normalisation():
    def against(i):
        return lse(S[i, k] for k in range(M) if Y[k] != Y[i] and SEX[k] == SEX[i])

    def peers(i):
        return sum(Y[j] == Y[i] and SEX[j] == SEX[i] for j in OTHERS[i])

    close(L.fscl(RAW, Y, SEX, temperature=T), mean(against(i) - mean(S[i, j] for j in same(i)) for i in range(M)))
    pairs = [(i, j, 1 / (peers(j) * (peers(i) + 1))) for i in range(M) for j in same(i)]
    wanted = sum(w * (against(i) - S[i, j]) for i, j, w in pairs) / sum(w for *_, w in pairs)
    close(L.fscl(RAW, Y, SEX, temperature=T, even=True), wanted)


def test_herocon_for_one_label_and_for_all():
    labels = (torch.rand(N, 5, generator=G) < 0.5).double()
    labels[0, :], labels[1, :] = 1, 0
    ham = labels @ (1 - labels).T + (1 - labels) @ labels.T
    e = (Z1 @ Z1.T).exp()

    def pairs(c, itself):
        have, lack = [[i for i in range(N) if labels[i, c] == v] for v in (1, 0)]
        against = {i: sum(ham[i, k] * e[i, k] for k in lack) for i in have}
        own = {(i, j): (1 - ham[i, j] / 5) * e[i, j] for i in have for j in have if itself or i != j}
        return mean(((against[i] + p) / p).log() for (i, _), p in own.items())

    keys = {"id": torch.arange(N), "labels": labels}
    one = Embeddings(RAW1, {**keys, "view": torch.zeros(N)})
    copy = Embeddings(RAW1, {**keys, "view": torch.ones(N)})  # the paper lets a row be its own positive
    found = contrast(one, copy, LabelColumn("labels", 2), loss=HeroCon(), kernel=Cosine(temperature=1.0)).value()
    close(found, pairs(2, itself=True))
    close(L.herocon(RAW1, labels), sum(pairs(c, itself=False) for c in range(5)))


def test_herocons_weighed_views():
    g1, g2 = torch.sigmoid(randn(N, D)), torch.sigmoid(randn(N, D))

    def cos(a, b):
        return F.cosine_similarity(a, b, dim=0)

    wanted = mean(
        (
            sum(
                0.5 * ((1 - cos(g1[k], RAW2[i])).exp() + (1 - cos(g2[k], RAW1[i])).exp()) * cos(RAW1[k], RAW2[i]).exp()
                for k in range(N)
            )
            / (N * cos(RAW1[i], RAW2[i]).exp())
        ).log()
        for i in range(N)
    )
    close(L.herocon_views(RAW1, RAW2, g1, g2), wanted)


@pytest.mark.parametrize("prior", [None, torch.tensor([0.6, 0.3, 0.1]).double()])
def test_paco_with_centres_as_candidates_of_z_or_of_features(prior):
    a, features, wide = 0.05, randn(M, 4), randn(C, 4)
    adjust = torch.zeros(C) if prior is None else prior.log()
    near = Z @ Z.T / 0.2

    def paco(far):
        return mean(
            lse([*(near[i, k] for k in OTHERS[i]), *(far[i] + adjust)])
            - (a * sum(near[i, j] for j in same(i)) + far[i, Y[i]]) / (a * len(same(i)) + 1)
            for i in range(M)
        )

    close(L.paco(RAW, Y, CENTRES, prior=prior), paco(Z @ CENTRES.T))
    close(L.paco(RAW, Y, wide, prior=prior, features=features), paco(features @ wide.T))


@pytest.mark.parametrize("centres", [None, CENTRES])
def test_balanced_contrast_averages_within_classes(centres):
    z, y = (Z, Y) if centres is None else (torch.cat([Z, CEN]), torch.cat([Y, torch.arange(C)]))
    s = Z @ z.T / T

    def one(i):
        others = [k for k in range(len(z)) if k != i]
        per_class = [[s[i, k].exp() for k in others if y[k] == c] for c in range(C)]
        against = sum(sum(values) / len(values) for values in per_class)
        return against.log() - mean(s[i, j] for j in others if y[j] == Y[i])

    close(L.bcl(RAW, Y, centres, temperature=T), mean(map(one, range(M))))


def test_k_positive_and_targeted_contrast():
    everyone = mean(lse(S[i, k] for k in OTHERS[i]) - mean(S[i, j] for j in same(i)) for i in range(M))
    close(L.kcl(RAW, Y, IDS, k=20, temperature=T), everyone)
    close(L.kcl(RAW, Y, IDS, k=0, temperature=T), L.ntxent(RAW1, RAW2, temperature=T))
    few = [L.kcl(RAW, Y, IDS, k=2, temperature=T, seed=seed).item() for seed in range(3)]
    assert len(set(few)) == 3
    far = Z @ CEN.T / T
    wanted = mean(
        (1 + 0.4) * lse([*(S[i, k] for k in OTHERS[i]), *far[i]]) - mean(S[i, j] for j in same(i)) - 0.4 * far[i, Y[i]]
        for i in range(M)
    )
    close(L.tsc(RAW, Y, IDS, CENTRES, k=20, strength=0.4, temperature=T), wanted)


def test_soft_nearest_neighbours():
    d = torch.cdist(RAW, RAW) ** 2 / 3
    wanted = mean(lse(-d[i, k] for k in OTHERS[i]) - lse(-d[i, j] for j in same(i)) for i in range(M))
    close(L.soft_nearest_neighbour(RAW, Y, temperature=3.0), wanted)


def test_rank_n_contrast():
    ages = torch.tensor([3.0, 1, 8, 8, 2, 9, 4, 4, 30] * 2).double()
    s = -torch.cdist(RAW, RAW) / 2

    def one(i):
        d = (ages - ages[i]).abs()
        return mean(lse(s[i, k] for k in OTHERS[i] if d[k] >= d[j]) - s[i, j] for j in OTHERS[i])

    close(L.rnc(RAW, ages), mean(map(one, range(M))))
    close(L.rnc(RAW, 1e6 * ages + 3), mean(map(one, range(M))))  # only the order of distances matters


def test_mil_nce_of_both_directions_and_of_one():
    bags = randn(N, 3, D)
    s = torch.einsum("nd,mkd->nmk", RAW1, bags)
    both = [[*s[i].flatten(), *(s[j, i, k] for j in range(N) if j != i for k in range(3))] for i in range(N)]
    close(L.mil_nce(RAW1, bags), mean(lse(both[i]) - lse(s[i, i]) for i in range(N)))
    close(L.mil_nce(RAW1, bags, both=False), mean(lse(s[i].flatten()) - lse(s[i, i]) for i in range(N)))
    close(L.mil_nce(bags[:, 0], RAW2[:, None], temperature=2.0), mil_nce_of_pairs(bags[:, 0] @ RAW2.T / 2))
    close(L.mil_nce(RAW1[:1], bags[:1]), 0 * RAW1.sum())  # a clip alone picks its own bag


def mil_nce_of_pairs(s):
    return mean(lse([*s[i], *(s[j, i] for j in range(N) if j != i)]) - s[i, i] for i in range(N))


def test_sogclr_pushes_by_its_history():
    estimates = Estimates(samples=30, rate=0.6).double()
    ids = torch.arange(N) + 7
    u = {}
    for step in range(3):
        a, b = randn(N, D), randn(N, D)
        z = torch.cat([a, b]).requires_grad_()
        zn = F.normalize(z, dim=1)
        s = zn @ zn.T / T
        g = [torch.stack([s[i, k].exp() for k in range(M) if k % N != i % N]).mean() for i in range(M)]
        loss = 0.0
        own = [g[i].detach() if step == 0 else 0.4 * u[i % N] + 0.6 * g[i].detach() for i in range(M)]
        for n in range(N):
            u[n] = (own[n] + own[n + N]) / 2
        for i in range(M):
            loss = loss - s[i, pair(i)] + g[i] / own[i]  # its gradient is the method's
        wanted = torch.autograd.grad(loss / M, z)[0]
        found = L.sogclr(z[:N], z[N:], ids, estimates, temperature=T)
        close(torch.autograd.grad(found, z)[0], wanted)
        value = mean(-s[i, pair(i)] + own[i].log() for i in range(M))
        close(found.detach(), value.detach())


def test_sogclr_without_history_has_the_gradient_of_dcl():
    z = RAW.detach().clone().requires_grad_()
    both = [
        f(z[:N], z[N:])
        for f in (
            lambda a, b: L.sogclr(a, b, torch.arange(N), Estimates(samples=N, rate=1.0).double(), temperature=T),
            lambda a, b: L.dcl(a, b, temperature=T),
        )
    ]
    close(*(torch.autograd.grad(loss, z)[0] for loss in both))

"""What authors' and projects' own code computes, where it differs from the papers by a factor, a mean or a mistake.

Each formula is written anew from that code, dense and short; the test's name says what stands between it and ours.
"""

import pytest
import torch
from torch.nn import functional as F

from kontrast.layers.estimates import Estimates
from kontrast.losses import functional
from kontrast.losses import functional as L

pytestmark = pytest.mark.quick

N, T = 8, 0.4
LABELS = torch.tensor([0, 1, 0, 1, 1, 0, 0, 1])
GROUPS = torch.tensor([0, 0, 1, 1, 0, 1, 0, 0])


def views(seed=0):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(N, 6, generator=g, dtype=torch.float64).requires_grad_() for _ in range(2)]


def agree(mine, theirs, inputs):
    torch.testing.assert_close(mine, theirs, rtol=2e-6, atol=2e-6)
    slopes = [torch.autograd.grad(value, inputs, retain_graph=True) for value in (mine, theirs)]
    for one, two in zip(*slopes, strict=True):
        assert two.abs().max() > 0
        torch.testing.assert_close(one, two, rtol=2e-6, atol=2e-6)


def cosines(z, temperature=T):
    unit = F.normalize(z, dim=1)
    return unit @ unit.T / temperature


def others(n):
    return ~torch.eye(n, dtype=torch.bool)


def log_probability(s, among):
    return s - s.masked_fill(~among, -torch.inf).logsumexp(1, keepdim=True)


def weighed(log_p, weights):
    """-sum_j w_ij log p_ij / sum_j w_ij, an anchor each."""
    return -(weights * log_p).sum(1) / weights.sum(1)


def test_supcontrast_multiplies_by_temperature_over_base_temperature():
    two = views()
    z, y = torch.cat(two), LABELS.repeat(2)
    positive = (y[:, None] == y) & others(2 * N)
    theirs = T / 0.07 * weighed(log_probability(cosines(z), others(2 * N)), positive.double()).mean()
    agree(T / 0.07 * L.supcon(z, y, temperature=T), theirs, two)


def test_supcontrast_gives_nan_for_a_class_of_one_row_which_is_left_out_here():
    (z, _), y = views(), torch.tensor([0, 0, 1, 1, 2, 2, 2, 3])
    positive = ((y[:, None] == y) & others(N)).double()
    log_p = log_probability(cosines(z), others(N))
    assert weighed(log_p, positive).isnan().tolist() == [False] * 7 + [True]
    agree(L.supcon(z, y, temperature=T), weighed(log_p[:7], positive[:7]).mean(), [z])


def test_genscl_multiplies_by_temperature_over_base_temperature():
    two = views()
    z, soft = torch.cat(two), torch.rand(2 * N, 3, generator=torch.Generator().manual_seed(1)).double()
    alike = F.cosine_similarity(soft[:, None], soft, dim=2) * others(2 * N)
    theirs = T / 0.07 * weighed(log_probability(cosines(z), others(2 * N)), alike).mean()
    agree(T / 0.07 * L.gensupcon(z, soft, temperature=T), theirs, two)


def test_solo_learns_supcon_has_its_sum_inside_the_logarithm_and_is_not_the_papers():
    two = views()
    z, y = torch.cat(two), LABELS.repeat(2)
    s, positive = cosines(z), (y[:, None] == y) & others(2 * N)
    inside = s.masked_fill(~positive, -torch.inf).logsumexp(1) - s.masked_fill(~others(2 * N), -torch.inf).logsumexp(1)
    agree(L.supcon_inside(z, y, temperature=T, mean=False), -inside.mean(), two)
    assert L.supcon(z, y, temperature=T) - 1 > -inside.mean()


def test_solo_learns_barlow_twins_is_a_fortieth_and_its_vicreg_sums_the_variance_of_both_views():
    x, y = two = views()
    a, b = (F.batch_norm(z, None, None, training=True) for z in two)
    off = (a.T @ b / N - torch.eye(6)).square()
    agree(0.025 * functional.barlow(x, y), 0.025 * (off.trace() + 0.005 * (off.sum() - off.trace())), two)
    flat = sum(F.relu(1 - (z.var(0) + 1e-4).sqrt()).mean() for z in two)
    square = sum((torch.cov(z.T).square().sum() - torch.cov(z.T).diag().square().sum()) / 6 for z in two)
    agree(functional.vicreg(x, y, variance=50.0), 25 * F.mse_loss(x, y) + 25 * flat + square, two)


def test_fscl_gives_an_anchor_without_negatives_a_denominator_of_one_where_it_is_left_out_here():
    two = views()
    z, y, group = torch.cat(two), LABELS.repeat(2), torch.cat([GROUPS, GROUPS])
    s, positive = cosines(z), (y[:, None] == y) & others(2 * N)
    mass = (s.exp() * (y[:, None] != y) * (group[:, None] == group)).sum(1, keepdim=True)
    theirs = weighed(s - (mass + (mass == 0)).log(), positive.double())
    agree(L.fscl(z, y, group, temperature=T), theirs.mean(), two)  # everyone has a negative
    alone = torch.where(torch.arange(2 * N) % N == 0, 2, group)  # a group of one sample
    mass = (s.exp() * (y[:, None] != y) * (alone[:, None] == alone)).sum(1, keepdim=True)
    theirs = weighed(s - (mass + (mass == 0)).log(), positive.double())
    agree(L.fscl(z, y, alone, temperature=T), theirs[alone != 2].mean(), two)


def test_fscl_plus_sums_what_is_averaged_here():
    two = views()
    z, y, group = torch.cat(two), LABELS.repeat(2), GROUPS.repeat(2)
    positive, own = ((y[:, None] == y) & others(2 * N)).double(), group[:, None] == group
    log_p = log_probability(cosines(z), (y[:, None] != y) & own)
    peers = (positive * own).sum(1)
    each = -(positive * log_p / peers).sum(1) / (peers + 1)  # peers of the positive, and of the anchor
    theirs = (each * 2 * N / 8).mean()
    counts = ((positive / peers).sum(1) / (peers + 1)).sum() / 8
    agree(counts * L.fscl(z, y, group, temperature=T, even=True), theirs, two)


@pytest.mark.parametrize("k", [2, 6])
def test_kcl_and_tsc_of_the_authors_take_the_target_for_one_more_positive(k):
    """All others of the class are drawn where it has k of them, so that the lot decides nothing."""
    two = views()
    y = torch.arange(N) // 4 if k == 6 else torch.arange(N) % 4
    z, y, ids = torch.cat(two), y.repeat(2), torch.arange(N).repeat(2)
    assert ((y[:, None] == y) & (ids[:, None] != ids)).sum(1).eq(k).all()
    positive = ((y[:, None] == y) & others(2 * N)).double()  # the other view and k others
    kcl = weighed(log_probability(cosines(z), others(2 * N)), positive).mean()
    agree(L.kcl(z, y, ids, k=k, temperature=T), kcl, two)
    points = F.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64), dim=1)
    s = torch.cat([cosines(z), F.normalize(z, dim=1) @ points.T / T], 1)
    among = torch.cat([others(2 * N), torch.ones(2 * N, 4, dtype=torch.bool)], 1)
    with_target = torch.cat([positive, F.one_hot(y, 4).double()], 1)
    tsc = weighed(log_probability(s, among), with_target).mean()
    share = 1 / (k + 1)
    agree(L.tsc(z, y, ids, points, k=k, strength=share, temperature=T) / (1 + share), tsc, two)


def test_mil_nce_of_the_authors_counts_the_own_bag_twice():
    z, _ = views()
    bags = torch.randn(N, 3, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    s = torch.einsum("nd,mkd->nmk", z, bags)
    own = s[torch.arange(N), torch.arange(N)].logsumexp(1)
    twice = torch.cat([s, s.transpose(0, 1)], 1).flatten(1).logsumexp(1)
    once = twice + (1 - (own - twice).exp()).log()
    agree(L.mil_nce(z, bags), (once - own).mean(), [z, bags])
    assert L.mil_nce(z, bags) < (twice - own).mean()


def test_the_dclw_of_raminnakhli_has_weights_of_mean_nearly_two_and_is_not_the_papers():
    one, two = views()
    cos = F.cosine_similarity(one, two).detach()
    assert (2 - (cos / 0.5).softmax(0)).mean().item() == pytest.approx(2 - 1 / N)
    weights = 2 - N * (cos / 0.5).softmax(0)
    assert weights.mean().item() == pytest.approx(1)
    extra = ((1 - weights) * F.cosine_similarity(one, two) / T).mean()
    agree(L.dclw(one, two, temperature=T), L.dcl(one, two, temperature=T) + extra, [one, two])


def test_debiased_contrast_of_pygcl_has_its_sign_turned():
    """It returns the mean of log pos / (pos + g), which a training would minimise the wrong way."""
    one, two = views()
    s = cosines(torch.cat([one, two]), 0.5).exp()
    sample = torch.arange(N).repeat(2)
    negatives = (s * (sample[:, None] != sample)).sum(1)
    near = (F.cosine_similarity(one, two) / 0.5).exp().repeat(2)
    far = ((negatives - 0.02 * (2 * N - 2) * near) / 0.98).clamp_min((2 * N - 2) * torch.tensor(-2.0).exp())
    theirs = (near / (near + far)).log().mean()
    agree(L.debiased(one, two, prior=0.02), -theirs, [one, two])


def test_libaucs_sogclr_keeps_the_same_estimates_and_has_twice_the_temperature_times_the_gradient():
    """Each view is weighed by an estimate of its own; what is kept is their mean."""
    estimates, u = Estimates(samples=20, rate=0.7).double(), torch.zeros(20, dtype=torch.float64)
    ids = torch.arange(N) + 5
    for step in range(3):
        one, two = views(step)
        a, b = F.normalize(one, dim=1), F.normalize(two, dim=1)
        off, loss, kept = others(N), 0, []
        for x, y in ((a, b), (b, a)):
            cos = torch.cat([x @ y.T, x @ x.T], 1)
            negative = torch.cat([off, off], 1).double()
            far = (cos / T).exp() * negative
            g = far.sum(1) / (2 * (N - 1))
            mine = g if step == 0 else 0.3 * u[ids] + 0.7 * g
            kept.append(mine.detach())
            pushed = ((far / mine[:, None]).detach() * cos).sum(1) / (2 * (N - 1))
            loss = loss + (pushed - (x * y).sum(1)).mean()
        u[ids] = (kept[0] + kept[1]) / 2
        found = L.sogclr(one, two, ids, estimates, temperature=T)
        torch.testing.assert_close(estimates.log_u[ids].exp(), u[ids])
        wanted = torch.autograd.grad(loss / (2 * T), (one, two))
        torch.testing.assert_close(torch.autograd.grad(found, (one, two)), wanted, rtol=1e-6, atol=1e-8)

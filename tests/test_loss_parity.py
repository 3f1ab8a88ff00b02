"""Values and gradients are those of public libraries, where these are installed; conventions that differ are named."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kontrast.losses import pairs

N, D, C = 16, 6, 4


def made(count=2, n=N, width=D, seed=0):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(n, width, generator=g, dtype=torch.float64, requires_grad=True) for _ in range(count)]


def agree(ours, theirs, leaves, factor=1.0, rtol=1e-6):
    """ours = factor * theirs, and so the gradients."""
    torch.testing.assert_close(ours, factor * theirs, rtol=rtol, atol=1e-9, check_dtype=False)
    for one, other in zip(torch.autograd.grad(ours, leaves), torch.autograd.grad(theirs, leaves), strict=True):
        torch.testing.assert_close(one, factor * other, rtol=rtol, atol=1e-8, check_dtype=False)


@pytest.fixture(scope="module")
def lightly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("lightly.loss")


@pytest.fixture(scope="module")
def metric():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in ("losses", "distances", "miners", "reducers"):
            pytest.importorskip(f"pytorch_metric_learning.{part}")
        return pytest.importorskip("pytorch_metric_learning")


def test_siglip_is_open_clips(request):
    """Both sum over pairs and divide by the rows; open_clip expects rows of length 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pytest.importorskip("open_clip.loss").SigLipLoss()
    x, y = made()
    scale, bias = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (10.0, -10.0))
    ours = pairs.siglip(x, y, scale=scale, bias=bias)
    agree(ours, theirs(F.normalize(x), F.normalize(y), scale, bias), [x, y, scale, bias])


def test_barlow_twins_is_lightlys(lightly):
    """Both sum over D x D; lambda is 5e-3, eps of the variance 1e-5."""
    x, y = made()
    agree(pairs.barlow(x, y), lightly.BarlowTwinsLoss(lambda_param=5e-3)(x, y), [x, y])


def test_vicreg_is_lightlys(lightly):
    """Both halve the variance term, as the authors' code; the paper's equation does not."""
    x, y = made()
    agree(pairs.vicreg(x, y), lightly.VICRegLoss()(x, y), [x, y])


def test_wmse_is_lightlys(lightly):
    """Lightly shuffles the rows into groups: with one group of all there is nothing to shuffle. Its eps is 0."""
    x, y = made()
    theirs = lightly.WMSELoss(embedding_dim=D, w_size=N, w_iter=1, num_samples=2, track_running_stats=False).double()
    agree(pairs.wmse(x, y, shrink=0.0), theirs(torch.cat([x, y])), [x, y])


def test_byol_is_two_plus_two_of_lightlys_negative_cosine(lightly):
    """Lightly's is SimSiam's -cos; BYOL's is 2 - 2 cos. Lightly stops no gradient itself."""
    x, y = made()
    agree(pairs.byol(x, y), 2 + 2 * lightly.NegativeCosineSimilarity()(x, y.detach()), [x])


def test_swav_is_lightlys(lightly):
    views = made(4, width=5)
    ours, theirs = ([F.normalize(v) for v in views] for _ in "12")
    agree(pairs.swav(ours), lightly.SwaVLoss()(theirs[:2], theirs[2:]).squeeze(), views, rtol=1e-5)


def test_dino_is_lightlys(lightly):
    """Lightly keeps the centre inside and moves it after the loss; its first is 0."""
    views = made(3)
    theirs = lightly.DINOLoss(output_dim=D, teacher_temp=0.04, warmup_teacher_temp=0.04).double()
    teacher = [v.detach() for v in views[:2]]
    agree(pairs.dino(views, teacher), theirs(teacher, views), views, rtol=1e-5)


LABELS = torch.arange(N) % C


def test_all_triplets_are_pytorch_metric_learnings(metric):
    """Squared distance, the mean over all triplets. By default theirs is the distance, the mean over violated ones."""
    (x,) = made(1)
    theirs = metric.losses.TripletMarginLoss(
        margin=0.2, distance=metric.distances.LpDistance(power=2), reducer=metric.reducers.MeanReducer()
    )
    agree(pairs.triplet(x, LABELS), theirs(x, LABELS), [x])


def test_soft_triplets_are_pytorch_metric_learnings(metric):
    """softplus(d_ap - d_an + margin) in both."""
    (x,) = made(1)
    theirs = metric.losses.TripletMarginLoss(
        margin=0.2,
        smooth_loss=True,
        distance=metric.distances.LpDistance(power=2),
        reducer=metric.reducers.MeanReducer(),
    )
    agree(pairs.triplet(x, LABELS, soft=True), theirs(x, LABELS), [x])


def test_hard_triplets_are_pytorch_metric_learnings(metric):
    (x,) = made(1)
    distance = metric.distances.LpDistance(power=2)
    three = metric.miners.BatchHardMiner(distance=distance)(x, LABELS)
    theirs = metric.losses.TripletMarginLoss(margin=0.2, distance=distance, reducer=metric.reducers.MeanReducer())
    agree(pairs.triplet(x, LABELS, triplets="hard"), theirs(x, LABELS, three), [x])


def test_circle_is_pytorch_metric_learnings(metric):
    """Both average over anchors with both sides. Defaults: theirs m 0.4, gamma 80; the paper's and ours 0.25, 256."""
    (x,) = made(1)
    agree(pairs.circle(x, LABELS), metric.losses.CircleLoss(m=0.25, gamma=256)(x, LABELS), [x])


def test_multi_similarity_is_pytorch_metric_learnings(metric):
    """Their mining is a miner of its own; it keeps the anchors that it leaves nothing, as zeros. Base 0.5 in both."""
    (x,) = made(1)
    miner, loss = metric.miners.MultiSimilarityMiner(epsilon=0.1), metric.losses.MultiSimilarityLoss()
    agree(pairs.multi_similarity(x, LABELS, slack=None), loss(x, LABELS), [x])
    agree(pairs.multi_similarity(x, LABELS), loss(x, LABELS, miner(x, LABELS)), [x])


def theirs_of(made_loss, name):
    """Their class centres as (C, D) rows of ours, sharing the gradient."""
    centres = made(1, n=C, seed=3)[0]
    kept = centres.T if name == "W" else centres
    setattr(made_loss, name, nn.Parameter(kept.detach().clone().contiguous()))
    return centres, getattr(made_loss, name)


@pytest.mark.parametrize("name", ["ArcFaceLoss", "CosFaceLoss", "ProxyAnchorLoss"])
def test_class_centres_are_pytorch_metric_learnings(metric, name):
    """Their ArcFace margin is in degrees (28.6 is 0.5). Both average over rows; proxy-anchor over proxies, twice."""
    (x,) = made(1)
    labels = LABELS % (C - 1)  # one centre without a row
    made_loss = getattr(metric.losses, name)(num_classes=C, embedding_size=D)
    centres, theirs = theirs_of(made_loss, "proxies" if name == "ProxyAnchorLoss" else "W")
    if name == "ArcFaceLoss":
        made_loss.margin = 0.5
    ours = {"ArcFaceLoss": pairs.arcface, "CosFaceLoss": pairs.cosface, "ProxyAnchorLoss": pairs.proxy_anchor}[name]
    value, expected = ours(x, labels, centres), made_loss(x, labels)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-9)
    d_x, d_centres = torch.autograd.grad(value, [x, centres])
    e_x, e_centres = torch.autograd.grad(expected, [x, theirs])
    torch.testing.assert_close(d_x, e_x, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(d_centres, e_centres if name == "ProxyAnchorLoss" else e_centres.T, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", ["CoSENTLoss", "AnglELoss"])
def test_cosent_and_angle_are_sentence_transformers(name):
    """Both sum over pairs of pairs inside one logarithm; scale 20."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")
    x, y = made()
    gold = torch.arange(N) * 7 % 5
    theirs = getattr(losses, name)(nn.Identity())
    ours = pairs.cosent if name == "CoSENTLoss" else pairs.angle
    agree(ours(x, y, gold), theirs.compute_loss_from_embeddings([x, y], gold), [x, y])

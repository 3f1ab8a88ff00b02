"""Values and gradients of public libraries, where they are installed (`pip install lightly pytorch-metric-learning
open_clip_torch sentence-transformers`).

Where a convention differs, the test says so: pairs averaged instead of anchors, a factor, a mean over losses that are
not 0, a gradient that is not stopped. Formulas of projects that are no libraries are in `test_reference_formulas.py`.
"""

import pytest
import torch
from torch.nn import functional as F

from kontrast.core.ranks import Ranks
from kontrast.layers.centre import Centre
from kontrast.losses import functional
from kontrast.losses import functional as L

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def data(n=12, width=8, seed=0, classes=4):
    """Two views and the labels of n samples, each label borne by some."""
    g = torch.Generator().manual_seed(seed)
    z1, z2 = (torch.randn(n, width, generator=g, dtype=torch.float64, requires_grad=True) for _ in range(2))
    return z1, z2, torch.arange(n)[torch.randperm(n, generator=g)] % classes


def squared(z):
    """Squared distances on the sphere."""
    unit = F.normalize(z, dim=1)
    return (unit[:, None] - unit).square().sum(-1)


def agree(mine, theirs, *inputs):
    theirs = theirs.squeeze().to(mine.dtype)
    torch.testing.assert_close(mine, theirs, rtol=2e-6, atol=2e-6)
    slopes = [torch.autograd.grad(value, inputs, retain_graph=True) for value in (mine, theirs)]
    for one, two in zip(*slopes, strict=True):
        assert two.abs().max() > 0
        torch.testing.assert_close(one, two.to(one.dtype), rtol=2e-6, atol=2e-6)


@pytest.fixture(scope="module")
def lightly():
    pytest.importorskip("lightly.loss")
    import lightly.loss

    return lightly.loss


@pytest.fixture(scope="module")
def pml():
    pytest.importorskip("pytorch_metric_learning.losses")
    import pytorch_metric_learning
    from pytorch_metric_learning import distances, losses, miners, reducers  # noqa: F401

    return pytorch_metric_learning


@pytest.fixture(scope="module")
def clip():
    return pytest.importorskip("open_clip.loss")


@pytest.fixture(scope="module")
def sentences():
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer import losses

    return losses


def test_nt_xent_is_lightlys(lightly):
    z1, z2, _ = data()
    agree(L.ntxent(z1, z2, temperature=0.3), lightly.NTXentLoss(temperature=0.3)(z1, z2), z1, z2)


def test_moco_is_lightlys_nt_xent_with_a_memory_bank(lightly):
    z1, z2, _ = data()
    theirs = lightly.NTXentLoss(temperature=0.3, memory_bank_size=(20, 8))
    bank = F.normalize(torch.randn(20, 8, dtype=torch.float64), dim=1)
    theirs(z1.float(), z2.float())  # makes its bank
    theirs.memory_bank.bank = bank.clone() if theirs.memory_bank.bank.shape == bank.shape else bank.T.clone()
    agree(L.moco(z1, z2, bank, temperature=0.3), theirs(z1, z2), z1)


def test_dcl_is_lightlys(lightly):
    z1, z2, _ = data()
    agree(L.dcl(z1, z2, temperature=0.3), lightly.DCLLoss(temperature=0.3)(z1, z2), z1, z2)


def test_dclw_is_lightlys(lightly):
    """lightly weighs by raw dots when called on its own, by cosines inside its loss, as the paper does and we do."""
    z1, z2, _ = data()
    agree(L.dclw(z1, z2, temperature=0.3), lightly.DCLWLoss(temperature=0.3)(z1, z2), z1, z2)


def test_barlow_twins_is_lightlys(lightly):
    z1, z2, _ = data()
    agree(functional.barlow(z1, z2), lightly.BarlowTwinsLoss()(z1, z2), z1, z2)


def test_vicreg_is_lightlys_and_pytorch_metric_learnings(lightly, pml):
    """Both take the mean of the views' variance terms, as the authors' code does; the paper and solo-learn the sum."""
    z1, z2, _ = data()
    agree(functional.vicreg(z1, z2), lightly.VICRegLoss()(z1, z2), z1, z2)
    agree(functional.vicreg(z1, z2), pml.losses.VICRegLoss()(z1, ref_emb=z2), z1, z2)


def test_w_mse_is_lightlys_without_shrinking(lightly):
    """It shuffles before it cuts groups, which one group does not feel."""
    z1, z2, _ = data(n=16, width=4)
    theirs = lightly.WMSELoss(embedding_dim=4, w_size=16, track_running_stats=False)
    agree(functional.wmse(z1, z2, shrink=0.0), theirs(torch.cat([z1, z2])), z1, z2)


def test_swav_is_lightlys_with_small_crops_too(lightly):
    z1, z2, _ = data(n=10, width=6)
    scores = [F.normalize(z, dim=1) for z in (z1, z2, z1 + z2)]
    agree(functional.swav(scores), lightly.SwaVLoss()(scores[:2], scores[2:]), z1, z2)


def test_dino_is_lightlys_and_so_is_the_centre(lightly):
    z1, z2, _ = data(width=6)
    theirs, centre = lightly.DINOLoss(output_dim=6), Centre(width=6).double()
    for scale in (1.0, 2.0):  # the second time with a centre that has moved
        student, teacher = [z1, scale * z2, z1 - z2], [(scale * z2).detach(), z1.detach()]
        agree(functional.dino(student, teacher, centre.mean), theirs(teacher, student), z1, z2)
        centre.update(torch.stack(teacher), Ranks())
        torch.testing.assert_close(centre.mean.float(), theirs.center.squeeze().float())


def test_byol_and_simsiam_are_lightlys_negative_cosine_which_does_not_stop_the_gradient_itself(lightly):
    z1, z2, _ = data()
    theirs = lightly.NegativeCosineSimilarity()(z1, z2.detach())
    agree(functional.byol(z1, z2), 2 + 2 * theirs, z1)


def test_alignment_and_uniformity_are_lightlys_hypersphere_loss(lightly):
    """Its t is 1 unless told, the paper's and ours 2. Its pairs i < j have the mean of our pairs i != j."""
    from lightly.loss.hypersphere_loss import HypersphereLoss

    z1, z2, _ = data()
    agree(functional.align_uniform(z1, z2, weight=0.5), HypersphereLoss(t=2.0, lam=0.5)(z1, z2), z1, z2)


def test_supcon_is_pytorch_metric_learnings(pml):
    """It averages the losses that are not 0, which leaves out anchors without positives as we do."""
    z1, z2, labels = data()
    z, y = torch.cat([z1, z2[:3]]), torch.cat([labels, torch.tensor([7, 8, 9])])
    agree(L.supcon(z, y, temperature=0.3), pml.losses.SupConLoss(temperature=0.3)(z, y), z1, z2)


def test_nt_xent_of_labels_is_pytorch_metric_learnings(pml):
    """It averages pairs, each against the negatives alone: other positives of the anchor are no candidates."""
    z1, z2, labels = data()
    z, y = torch.cat([z1, z2]), labels.repeat(2)
    agree(L.multi_positive(z, y, temperature=0.3), pml.losses.NTXentLoss(temperature=0.3)(z, y), z1, z2)
    both = pml.losses.SelfSupervisedLoss(pml.losses.NTXentLoss(temperature=0.3), symmetric=True)
    agree(L.ntxent(z1, z2, temperature=0.3), both(z1, z2), z1, z2)


def test_n_pair_is_pytorch_metric_learnings(pml):
    """It picks one pair a class; the norm term is a regulariser of its own there."""
    z1, z2, _ = data(n=6)
    z, y = torch.cat([z1, z2]), torch.arange(6).repeat(2)
    theirs = pml.losses.NPairsLoss()
    theirs.distance.normalize_embeddings = False
    agree(L.npair(z1, z2, l2=0.0), theirs(z, y), z1, z2)


def test_soft_nearest_neighbour_is_neighbourhood_components_analysis(pml):
    """-log of the chance to pick the own class; its embeddings are put on the sphere first."""
    z1, z2, labels = data()
    z, y = torch.cat([z1, z2]), labels.repeat(2)
    agree(
        L.soft_nearest_neighbour(F.normalize(z, dim=1), y, temperature=0.5),
        pml.losses.NCALoss(softmax_scale=2.0)(z, y),
        z1,
        z2,
    )


@pytest.mark.parametrize("soft", [False, True])
def test_all_triplets_are_pytorch_metric_learnings_with_the_mean_over_satisfied_ones_too(pml, soft):
    """Left alone it averages the triplets that violate the margin, and takes distances unsquared."""
    z1, z2, labels = data()
    z, y = torch.cat([z1, z2]), labels.repeat(2)
    theirs = pml.losses.TripletMarginLoss(
        margin=0.2, smooth_loss=soft, distance=pml.distances.LpDistance(power=2), reducer=pml.reducers.MeanReducer()
    )
    agree(functional.triplet(z, y, soft=soft), theirs(z, y), z1, z2)


def test_hard_triplets_are_pytorch_metric_learnings_batch_hard_miner(pml):
    z1, z2, labels = data()
    z, y = torch.cat([z1, z2]), labels.repeat(2)
    distance = pml.distances.LpDistance(power=2)
    theirs = pml.losses.TripletMarginLoss(margin=0.2, distance=distance, reducer=pml.reducers.MeanReducer())
    mined = pml.miners.BatchHardMiner(distance=distance)(z, y)
    agree(functional.triplet(z, y, triplets="hard"), theirs(z, y, mined), z1, z2)


def test_circle_is_pytorch_metric_learnings(pml):
    """It averages the losses that are not 0: of an anchor with both sides none is."""
    z1, z2, labels = data()
    z, y = torch.cat([z1, z2]), labels.repeat(2)
    agree(functional.circle(z, y, margin=0.4, scale=8.0), pml.losses.CircleLoss(m=0.4, gamma=8)(z, y), z1, z2)


@pytest.mark.parametrize("slack", [None, 0.1])
def test_multi_similarity_is_pytorch_metric_learnings_with_and_without_its_miner(pml, slack):
    """It averages over all rows, also those of a class of one; here there are none."""
    z1, z2, labels = data()
    z, y = torch.cat([z1, z2]), labels.repeat(2)
    mined = None if slack is None else pml.miners.MultiSimilarityMiner(epsilon=slack)(z, y)
    agree(functional.multi_similarity(z, y, slack=slack), pml.losses.MultiSimilarityLoss()(z, y, mined), z1, z2)


@pytest.mark.parametrize("margin", [0.5, 2.0])
def test_arcface_is_pytorch_metric_learnings_also_beyond_the_half_turn(pml, margin):
    """Its margin is in degrees."""
    z, _, y = data()
    theirs = pml.losses.ArcFaceLoss(num_classes=4, embedding_size=8, margin=margin * 180 / torch.pi, scale=8).double()
    agree(functional.arcface(z, y, theirs.W.T, margin=margin, scale=8.0), theirs(z, y), z, theirs.W)


def test_cosface_is_pytorch_metric_learnings_and_without_margin_its_normalised_softmax(pml):
    z, _, y = data()
    theirs = pml.losses.CosFaceLoss(num_classes=4, embedding_size=8, margin=0.35, scale=8).double()
    agree(functional.cosface(z, y, theirs.W.T, scale=8.0), theirs(z, y), z, theirs.W)
    bare = pml.losses.NormalizedSoftmaxLoss(num_classes=4, embedding_size=8, temperature=1 / 8).double()
    agree(functional.cosface(z, y, bare.W.T, margin=0.0, scale=8.0), bare(z, y), z, bare.W)


def test_proxy_anchor_is_pytorch_metric_learnings(pml):
    z, _, y = data()  # the fifth proxy has no row in the batch
    theirs = pml.losses.ProxyAnchorLoss(num_classes=5, embedding_size=8).double()
    agree(functional.proxy_anchor(z, y, theirs.proxies), theirs(z, y), z, theirs.proxies)


def test_clip_is_open_clips(clip):
    """It is given unit vectors; the temperature is the inverse of its scale."""
    z1, z2, _ = data()
    scale = torch.tensor(14.0, dtype=torch.float64, requires_grad=True)
    theirs = clip.ClipLoss()(F.normalize(z1, dim=1), F.normalize(z2, dim=1), scale)
    agree(L.clip(z1, z2, temperature=1 / scale), theirs, z1, z2, scale)


def test_siglip_is_open_clips(clip):
    z1, z2, _ = data()
    scale, bias = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (10.0, -3.0))
    theirs = clip.SigLipLoss()(F.normalize(z1, dim=1), F.normalize(z2, dim=1), scale, bias)
    agree(functional.siglip(z1, z2, scale=scale, bias=bias), theirs, z1, z2, scale, bias)


@pytest.mark.parametrize("name", ["cosent", "angle"])
def test_cosent_and_angle_are_sentence_transformers(sentences, name):
    z1, z2, labels = data()
    theirs = {"cosent": sentences.CoSENTLoss, "angle": sentences.AnglELoss}[name](model=None)
    mine = {"cosent": functional.cosent, "angle": functional.angle}[name]
    agree(mine(z1, z2, labels), theirs.compute_loss_from_embeddings([z1, z2], labels), z1, z2)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("BatchSemiHardTripletLoss", {"triplets": "semihard"}),
        ("BatchHardTripletLoss", {"triplets": "hard"}),
        ("BatchHardSoftMarginTripletLoss", {"triplets": "hard", "soft": True, "margin": 0.0}),
    ],
)
def test_mined_triplets_are_sentence_transformers_with_squared_distances_on_the_sphere(sentences, name, settings):
    """Its margin is 5 unless told; of the soft one there is none."""
    z1, z2, labels = data()
    z, y = torch.cat([z1, z2]), labels.repeat(2)
    margin = {} if settings.get("soft") else {"margin": 0.2}
    theirs = getattr(sentences, name)(model=None, distance_metric=squared, **margin)
    agree(functional.triplet(z, y, **settings), theirs.compute_loss_from_embeddings([z], y), z1, z2)


def test_all_triplets_are_sentence_transformers_which_averages_the_violating_ones_alone(sentences):
    z1, z2, labels = data()
    z, y = torch.cat([z1, z2]), labels.repeat(2)
    d = squared(z)
    theirs = sentences.BatchAllTripletLoss(model=None, distance_metric=squared, margin=0.2)
    same = y[:, None] == y
    valid = (same & ~torch.eye(len(y), dtype=torch.bool))[:, :, None] & ~same[:, None, :]
    violating = valid & (d[:, :, None] - d[:, None, :] + 0.2 > 0)
    share = violating.sum() / valid.sum()
    assert 0.1 < share < 0.9
    agree(functional.triplet(z, y), share.double() * theirs.compute_loss_from_embeddings([z], y), z1, z2)


def test_ranking_of_multiple_negatives_is_n_pair_and_one_way_mil_nce_and_both_ways_clip(sentences):
    """Bare dots at scale 1; cosines at scale 20, the mean of both directions."""
    z1, z2, _ = data()
    dots = sentences.MultipleNegativesRankingLoss(model=None, scale=1.0, similarity_fct=lambda a, b: a @ b.T)
    agree(L.npair(z1, z2, l2=0.0), dots.compute_loss_from_embeddings([z1, z2], None), z1, z2)
    agree(L.mil_nce(z1, z2[:, None], both=False), dots.compute_loss_from_embeddings([z1, z2], None), z1, z2)
    ways = ("query_to_doc", "doc_to_query")
    both = sentences.MultipleNegativesRankingLoss(model=None, directions=ways, partition_mode="per_direction")
    agree(L.clip(z1, z2, temperature=1 / 20), both.compute_loss_from_embeddings([z1, z2], None), z1, z2)

"""Values and gradients of public libraries, where they are installed (`pip install lightly pytorch-metric-learning`).

Where a convention differs, the test says so: pairs averaged instead of anchors, a temperature factor, a sum kept inside
the logarithm, a mean over non-zero losses.
"""

import pytest
import torch

from kontrast.losses import functional as L

pytestmark = pytest.mark.filterwarnings("ignore")


def data(n=12, width=8, seed=0):
    g = torch.Generator().manual_seed(seed)
    z1, z2 = (torch.randn(n, width, generator=g, dtype=torch.float64, requires_grad=True) for _ in range(2))
    return z1, z2, torch.randint(0, 4, (n,), generator=g)


def agree(mine, theirs, *inputs):
    torch.testing.assert_close(mine, theirs.to(mine.dtype), rtol=2e-6, atol=2e-6)
    pairs = zip(torch.autograd.grad(mine, inputs), torch.autograd.grad(theirs, inputs), strict=True)
    for one, two in pairs:
        torch.testing.assert_close(one, two, rtol=2e-6, atol=2e-6)


@pytest.fixture(scope="module")
def lightly():
    pytest.importorskip("lightly.loss")
    import lightly.loss

    return lightly.loss


@pytest.fixture(scope="module")
def pml():
    pytest.importorskip("pytorch_metric_learning.losses")
    from pytorch_metric_learning import losses

    return losses


def test_nt_xent_is_lightlys(lightly):
    z1, z2, _ = data()
    agree(L.ntxent(z1, z2, temperature=0.3), lightly.NTXentLoss(temperature=0.3)(z1, z2), z1, z2)


def test_moco_is_lightlys_nt_xent_with_a_memory_bank(lightly):
    z1, z2, _ = data()
    theirs = lightly.NTXentLoss(temperature=0.3, memory_bank_size=(20, 8))
    bank = torch.nn.functional.normalize(torch.randn(20, 8, dtype=torch.float64), dim=1)
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


def test_supcon_is_pytorch_metric_learnings(pml):
    """It averages the losses that are not 0, which leaves out anchors without positives as we do."""
    z1, z2, labels = data()
    z, y = torch.cat([z1, z2[:3]]), torch.cat([labels, torch.tensor([7, 8, 9])])
    agree(L.supcon(z, y, temperature=0.3), pml.SupConLoss(temperature=0.3)(z, y), z1, z2)


def test_nt_xent_of_labels_is_pytorch_metric_learnings(pml):
    """It averages pairs, each against the negatives alone: other positives of the anchor are no candidates."""
    z1, z2, labels = data()
    z, y = torch.cat([z1, z2]), labels.repeat(2)
    agree(L.multi_positive(z, y, temperature=0.3), pml.NTXentLoss(temperature=0.3)(z, y), z1, z2)
    both = pml.SelfSupervisedLoss(pml.NTXentLoss(temperature=0.3), symmetric=True)
    agree(L.ntxent(z1, z2, temperature=0.3), both(z1, z2), z1, z2)


def test_n_pair_is_pytorch_metric_learnings(pml):
    """It picks one pair a class; the norm term is a regulariser of its own there."""
    z1, z2, _ = data(n=6)
    z, y = torch.cat([z1, z2]), torch.arange(6).repeat(2)
    theirs = pml.NPairsLoss()
    theirs.distance.normalize_embeddings = False
    agree(L.npair(z1, z2, l2=0.0), theirs(z, y), z1, z2)


def test_soft_nearest_neighbour_is_neighbourhood_components_analysis(pml):
    """-log of the chance to pick the own class; its embeddings are put on the sphere first."""
    z1, z2, labels = data()
    z, y = torch.cat([z1, z2]), labels.repeat(2)
    unit = torch.nn.functional.normalize(z, dim=1)
    agree(L.soft_nearest_neighbour(unit, y, temperature=0.5), pml.NCALoss(softmax_scale=2.0)(z, y), z1, z2)

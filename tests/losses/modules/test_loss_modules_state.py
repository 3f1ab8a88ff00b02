"""What single losses remember, cut or mine; and the lines of the guide in their spelling."""

import pytest
import torch

import kontrast as kt
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.losses import functional as F
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.pairwise.triplet import Triplet
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.semi_hard import SemiHard
from tests.support.loss_calls import CASES, LABELS, D, N, built, views

pytestmark = pytest.mark.quick


def test_what_is_remembered_moves_in_training_alone():
    a, b = views()
    for name in ("MoCo", "InstanceDiscrimination", "DINO", "CrossBatchMemory"):
        m = built(name)
        before = {k: v.clone().nan_to_num() for k, v in m.state_dict().items()}
        CASES[name][1](m.eval(), a, b)
        assert all(torch.equal(v.nan_to_num(), before[k]) for k, v in m.state_dict().items()), name
        CASES[name][1](m.train(), a, b)
        assert not all(torch.equal(v.nan_to_num(), before[k]) for k, v in m.state_dict().items()), name


def test_the_queue_of_moco_holds_the_newest_keys_in_a_ring():
    loss = kt.losses.MoCo(dim=2, queue=5)
    angles = torch.arange(8.0)
    keys = torch.stack([angles.cos(), angles.sin()], 1)
    loss(keys[:4], keys[:4])
    loss(keys[4:], keys[4:])
    torch.testing.assert_close(loss.queue, keys[[5, 6, 7, 3, 4]])
    loss(keys, keys)  # more than it is long
    assert {tuple(row) for row in loss.queue.tolist()} == {tuple(row) for row in keys[3:].tolist()}


def test_a_cross_batch_memory_is_one_large_batch_of_which_the_last_part_are_the_anchors():
    a, b = views(torch.float64)
    loss = kt.losses.CrossBatchMemory(dim=D, queue=N, loss=Triplet(margin=0.3), kernel=Cosine(temperature=0.5).double())
    loss = loss.double()
    loss(a, LABELS)
    found = loss(b, LABELS)
    z, y = torch.cat([b, a.detach()]), LABELS.repeat(2)
    whole = kt.losses.Contrastive(
        loss=Triplet(margin=0.3), kernel=Cosine(temperature=0.5).double(), relation=SameKey("label")
    )
    ids = torch.arange(2 * N)
    rows = Embeddings(z, {"id": ids, "view": 0 * ids, "label": y})
    wanted = whole(rows[:N], candidates=rows)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.autograd.grad(found, b), torch.autograd.grad(wanted, b))
    mined = kt.losses.CrossBatchMemory(dim=D, loss="infonce", relation=SemiHard(SameKey("label")))
    assert mined(a.float(), LABELS).isfinite()


def test_matryoshka_cuts_embeddings_and_nothing_else():
    a, _ = views()
    nested = kt.losses.Matryoshka(kt.losses.SupCon(), dims=(D, 3), weights=(1.0, 0.25))
    wanted = F.supcon(a, LABELS) + 0.25 * F.supcon(a[:, :3], LABELS)
    torch.testing.assert_close(nested(a, LABELS), wanted)
    each = kt.losses.Matryoshka(kt.losses.SupCon(reduction="none"), dims=(D, 3))(a, LABELS)
    assert each.shape == (N,)
    with pytest.raises(UserError, match="expected at least the largest"):
        kt.losses.Matryoshka(kt.losses.SupCon(), dims=(64,))(a, LABELS)
    with pytest.raises(UserError, match="compares no embeddings"):
        kt.losses.Matryoshka(kt.losses.BPR(), dims=(4,))


@pytest.mark.parametrize("mining", ["all", "semihard", "hard", "easy", "distance"])
def test_every_mining_rule_of_triplets_trains(mining):
    a, _ = views()
    loss = kt.losses.Triplet(margin=0.2, mining=mining)
    values = [loss(a, LABELS) for _ in range(3)]
    assert all(torch.autograd.grad(v, a)[0].abs().sum() > 0 for v in values)
    assert (len({v.item() for v in values}) > 1) == (mining == "distance")  # other lots each call
    loss.eval()
    assert loss(a, LABELS) == loss(a, LABELS)


def test_the_lines_of_the_guide_work_in_their_spelling():
    z, z1, z2, image, text, prediction, target, query, key = (torch.randn(32, 64) for _ in range(9))
    labels, ids, soft_labels = torch.arange(32) % 10, torch.arange(32), torch.rand(32, 10)
    student, teacher = torch.randn(32, 256), torch.randn(32, 256)
    embeddings = kt.Embeddings(z, {"id": ids, "view": 0 * ids, "label": labels})
    values = [
        kt.losses.NTXent(temperature=0.2)(z1, z2),
        kt.losses.SupCon(temperature=0.1)(z, labels),
        kt.losses.CLIP(temperature=0.07, learnable=True)(image, text),
        kt.losses.SigLIP()(image, text),
        kt.losses.Triplet(margin=0.2, mining="semihard")(z, labels),
        kt.losses.ArcFace(num_classes=10, dim=64)(z, labels),
        kt.losses.BarlowTwins()(z1, z2),
        kt.losses.VICReg()(z1, z2),
        kt.losses.BYOL()(prediction, target),
        kt.losses.MoCo(dim=64, queue=4096)(query, key),
        kt.losses.InstanceDiscrimination(rows=1000, dim=64)(z, ids),
        kt.losses.GenSCL()(z, soft_labels),
        kt.losses.DINO(dim=256)(student, teacher),
        kt.losses.SwAV()(torch.rand(32, 16), torch.rand(32, 16)),
        kt.losses.functional.ntxent(z1, z2, temperature=0.2),
        kt.losses.Contrastive(loss="triplet", kernel=Cosine(temperature=0.5), relation=SameKey("label"))(embeddings),
    ]
    assert all(value.shape == () and value.isfinite() for value in values)
    assert len({value.item() for value in values}) == len(values) - 1  # `NTXent` stands there as a function too

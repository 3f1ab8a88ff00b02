"""Embeddings with one vector per position: what cuts, stacks and gathers them keeps every row with its keys."""

import pytest
import torch

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.same_key import SameKey

pytestmark = pytest.mark.quick

B, P, D = 5, 4, 3


def dense(lengths=(4, 2, 4, 1, 3), view=0, first=0):
    """Rows whose every number says which sample it belongs to, if rounded down."""
    n, most = first + torch.arange(len(lengths)), max(lengths)
    place = n[:, None, None] * 31 + torch.arange(most)[:, None] * 7 + torch.arange(D) + 100 * view
    z = n[:, None, None] + place.double().sin().abs()
    mask = torch.arange(most) < torch.tensor(lengths)[:, None]
    keys = {"id": n, "view": n * 0 + view, "mask": mask, "soft": n[:, None].expand(-1, most).double()}
    return Embeddings(z * mask[..., None], keys)


def test_whatever_cuts_rows_keeps_them_with_their_keys():
    rows = dense()
    assert len(rows) == B
    for index in (slice(1, 4), torch.tensor([4, 0, 0]), rows.keys["id"] % 2 == 0):
        cut = rows[index]
        assert len(cut) == len(cut.keys["id"])
        assert (
            cut.z.long() * cut.keys["mask"][..., None] == cut.keys["id"][:, None, None] * cut.keys["mask"][..., None]
        ).all()
    both = Embeddings.stack(rows, rows[:2])
    assert both.keys["id"].tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert both.z.shape == (7, P, D)


def test_positions_become_rows_or_separate_problems():
    rows = dense()
    flat = rows.flat()
    assert flat.keys["id"].tolist() == [n for n in range(B) for _ in range(P)]
    assert torch.equal(flat.keys["mask"], rows.keys["mask"].flatten())
    assert flat.keys["soft"].shape == (B * P, P)  # as wide as there are positions, and yet no key of positions
    of_sample, of_position = rows.stacked(0), rows.stacked(1)
    assert len(of_sample) == P
    assert len(of_position) == B
    for n in range(B):
        for p in range(P):
            assert torch.equal(of_sample.z[n, p], rows.z[n, p])
            assert torch.equal(of_position.z[p, n], rows.z[n, p])
            assert of_sample.keys["mask"][n, p] == of_position.keys["mask"][p, n] == rows.keys["mask"][n, p]
    assert of_sample.keys["id"].tolist() == [[0, 1, 2, 3]]
    assert of_position.keys["id"].tolist() == [[0, 1, 2, 3, 4]]
    assert of_sample.keys["soft"].shape == (B, P, P)
    assert torch.equal(of_sample.keys["soft"][3, 0], rows.keys["soft"][3])
    assert of_position.keys["soft"].shape == (1, B, P)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_stack_is_each_of_its_problems_alone_and_the_mask_leaves_rows_out(axis):
    rows, other = dense(), dense(view=1)
    relation = SameKey("id") & KeyWeight("mask") & KeyWeight("mask", what="candidates") & KeyWeight("mask", of="anchor")
    anchors, candidates = rows.stacked(axis), other.stacked(axis)
    found = contrast(anchors, candidates, relation, loss=InfoNCE(), kernel=Dot())
    total, count = 0.0, 0
    for number in range((B, P)[axis]):
        here = [r.z[number] if axis == 0 else r.z[:, number] for r in (rows, other)]
        there = rows.keys["mask"][number] if axis == 0 else rows.keys["mask"][:, number]
        s = here[0][there] @ here[1][there].T
        total, count = (
            total + torch.nn.functional.cross_entropy(s, torch.arange(len(s)), reduction="sum"),
            count + len(s),
        )
    torch.testing.assert_close(found.total, total)
    assert found.count == count


def test_vectors_per_position_are_refused_where_it_is_unsaid_what_they_are():
    with pytest.raises(UserError, match=r"shape \(5, 4, 3\); expected \(rows, width\): take \.flat\(\)"):
        contrast(dense(), dense(), SameKey("id"), loss=InfoNCE(), kernel=Dot())


LENGTHS = [(4, 2, 4), (7, 1), (), (3, 3, 3, 1)]


def gathered(ranks, ragged):
    """The sum over the gathered, weighed by place; its gradient towards this rank's rows, and what was gathered."""
    of_rank = LENGTHS if ragged else [(4, 2, 4), (4, 1), (), (4, 3, 3, 1)]
    mine = range(ranks.rank * 4 // ranks.world, (ranks.rank + 1) * 4 // ranks.world)
    lengths = [n for r in mine for n in of_rank[r]]
    first = sum(len(n) for n in of_rank[: mine[0]])
    rows = dense(lengths or (1,), first=first)[: len(lengths)]
    z = rows.z.detach().requires_grad_()
    keys = {n: rows.keys[n] for n in ("id", "view", *(("mask",) if ragged != "bare" else ()))}
    plain = Embeddings(z.sum(1), {"id": rows.keys["id"], "view": rows.keys["view"]})
    found = ranks.gather({"dense": Embeddings(z, keys), "plain": plain})
    everyone = found["dense"]
    mask = everyone.keys.get("mask", torch.ones(everyone.z.shape[:2], dtype=torch.bool))
    weight = (1 + everyone.keys["id"])[:, None, None] * (1 + torch.arange(everyone.z.shape[1]))[None, :, None]
    loss = (everyone.z * weight).sum() + found["plain"].z.sum()
    (slope,) = torch.autograd.grad(loss, z)
    return {
        "loss": loss.detach(),
        "slope": [s[: int(m.sum())] for s, m in zip(slope, rows.keys["mask"], strict=True)],
        "z": everyone.z.detach(),
        "mask": mask,
        "id": everyone.keys["id"],
    }


def unlike(ranks):
    """What is said of another width on another rank."""
    try:
        ranks.gather({"a": Embeddings(torch.zeros(2, 3 + ranks.rank), {"id": torch.arange(2)})})
    except ValueError as error:
        return str(error)
    return ""


def every_gather(ranks):
    return [*(gathered(ranks, ragged) for ragged in (False, True, "bare")), unlike(ranks)]


@pytest.mark.dist
def test_series_of_other_lengths_on_each_rank_are_gathered_as_on_one():
    (one, ragged, bare, none), many = every_gather(Ranks()), on_ranks(every_gather, 2, timeout=120)
    for number, wanted in enumerate((one, ragged, bare)):
        for found in (of_rank[number] for of_rank in many):
            assert torch.equal(found["id"], wanted["id"])
            torch.testing.assert_close(found["z"], wanted["z"])
            torch.testing.assert_close(found["loss"], wanted["loss"])
            if number < 2:
                assert torch.equal(found["mask"], wanted["mask"])
        slopes = [slope for of_rank in many for slope in of_rank[number]["slope"]]
        for slope, whole in zip(slopes, wanted["slope"], strict=True):
            torch.testing.assert_close(slope, 2 * whole)  # both ranks took the same sum
    lengths = many[0][2]["mask"].sum(1).tolist()
    assert lengths == [7] * 5 + [3] * 4  # without a mask of their own: what each rank has
    said = "'a': z has [3, 4] columns on ranks 0 to 1; expected one number."
    assert [of_rank[3] for of_rank in many] == [said, said]
    assert not none

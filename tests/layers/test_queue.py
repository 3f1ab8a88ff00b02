"""Queues: order, keys, wrap-around, and the rows of all ranks in rank order."""

import pytest
import torch
import torch.nn.functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.layers.queue import Queue

pytestmark = pytest.mark.quick


def rows(ids, width=4):
    ids = torch.as_tensor(ids)
    z = torch.randn(len(ids), width, generator=torch.Generator().manual_seed(int(ids[0]) + 1))
    return Embeddings(3 * z, {"id": ids, "content x": ids // 2, "label": ids.double()})


@pytest.mark.parametrize("sizes", [[2, 2, 2, 2], [3, 3, 3], [5, 1, 4], [7, 12]])
def test_the_queue_holds_the_latest_rows_with_their_keys(sizes):
    queue, seen, first = Queue(size=5, width=4, keys=("content x",)), [], 0
    slots = [None] * 5
    at = 0
    for n in sizes:
        new = rows(range(first, first + n))
        queue.push(new, Ranks())
        seen += [(int(new.keys["id"][k]), F.normalize(new.z[k], dim=0)) for k in range(n)]
        for one in seen[-n:][-5:]:
            slots[at % 5] = one
            at += 1
        first += n
        held = queue.rows()
        assert set(held.keys) == {"id", "content x", "view"}
        for slot, one in enumerate(slots):
            if one is None:
                assert held.keys["id"][slot] == -1 - slot
            else:
                assert held.keys["id"][slot] == one[0]
                assert held.keys["content x"][slot] == one[0] // 2
                torch.testing.assert_close(held.z[slot], one[1])
        assert sorted(held.keys["id"].tolist())[-min(5, first) :] == list(range(max(0, first - 5), first))
    torch.testing.assert_close(held.z.norm(dim=1), torch.ones(5))
    assert (held.keys["view"] == -1).all()


def test_what_was_read_does_not_change_with_the_next_push():
    queue = Queue(size=3, width=4)
    held = queue.rows()
    before = held.z.clone(), held.keys["id"].clone()
    queue.push(rows([1, 2, 3]), Ranks())
    assert torch.equal(held.z, before[0])
    assert torch.equal(held.keys["id"], before[1])


def test_the_queue_is_saved_with_the_model_and_starts_the_same_each_time():
    one, two = Queue(size=3, width=4, keys=("content x",)), Queue(size=3, width=4, keys=("content x",))
    assert torch.equal(one.z, two.z)
    one.push(rows([4, 5]), Ranks())
    two.load_state_dict(one.state_dict())
    one.push(rows([6, 7]), Ranks())
    two.push(rows([6, 7]), Ranks())
    assert torch.equal(one.z, two.z)
    assert torch.equal(one.keys_of, two.keys_of)


def test_a_queue_without_room_is_refused():
    with pytest.raises(UserError, match="expected both to be 1 or more"):
        Queue(size=0, width=4)


def filled(ranks, every_cuts):
    found = []
    for cuts in every_cuts:
        queue = Queue(size=6, width=4, keys=("content x",))
        for step in range(2):
            everyone = rows(range(7 * step, 7 * step + 7))
            queue.push(everyone[cuts[ranks.rank]], ranks)
        found.append((queue.z, queue.keys_of))
    return found


@pytest.mark.dist
def test_ranks_queue_the_rows_of_all_in_rank_order_also_if_they_hold_unequal_numbers():
    ((z, keys),) = filled(Ranks(), [[slice(0, 7)]])
    for of_rank in on_ranks(filled, 2, [[slice(0, 3), slice(3, 7)], [slice(0, 0), slice(0, 7)]]):
        for its_z, its_keys in of_rank:
            assert torch.equal(its_z, z)
            assert torch.equal(its_keys, keys)

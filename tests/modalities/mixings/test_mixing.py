"""Mixing of views with partners: equations against slow loops, keys, and the same on any number of ranks."""

import numpy as np
import pytest
import torch

from kontrast.core import factory, random_streams, registry
from kontrast.core.choice import Choice
from kontrast.core.errors import UserError
from kontrast.core.random_streams import Streams
from kontrast.data.mixing import mix, mixing_of
from kontrast.data.samplers.sampler import Sampled
from kontrast.data.samplers.shuffled import Shuffled
from kontrast.data.view import View
from kontrast.modalities.mixings.cutmix import CutMix
from kontrast.modalities.mixings.mixup import MixUp
from kontrast.modalities.mixings.mixup_cutmix import MixUpCutMix

N = 40


def streams(n=N, view=0):
    ids = torch.arange(n)
    step = random_streams.step_keys(0, 0, [view]).expand(n)
    return Streams(random_streams.key(0, 0, ids, view), random_streams.key(0, 0, ids, -1), step)


def pictures(n=N, seed=0, shape=(3, 16, 20)):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


def keys_of(ids, labels=None, has=None):
    ids = torch.as_tensor(ids)
    keys = {"id": ids, "has photo": torch.ones(len(ids), dtype=torch.bool) if has is None else torch.as_tensor(has)}
    keys["content photo"] = ids * 7 + 3
    return keys if labels is None else {**keys, "label": torch.as_tensor(labels)}


@pytest.mark.parametrize("name", sorted(registry.kinds("mixings")))
def test_a_mixing_keeps_its_contract(name):
    mixing, x, other = factory.build("mixings", name, {}), pictures(), pictures(seed=1)
    kept = x.clone(), other.clone()
    seen, share = mixing(x, other, streams())
    assert torch.equal(x, kept[0])
    assert torch.equal(other, kept[1])
    assert (seen.shape, seen.dtype, share.shape, share.dtype) == (x.shape, x.dtype, (N,), torch.float32)
    assert share.min() >= 0
    assert share.max() <= 1
    assert len(share.unique()) > N / 2
    order = torch.randperm(N)
    drawn = streams()
    there = Streams(drawn.view_B[order], drawn.row_B[order], drawn.step_B[order])
    again, shares = mixing(x[order], other[order], there)
    assert torch.equal(again, seen[order])
    assert torch.equal(shares, share[order])
    alone, one = mixing(x[7:8], other[7:8], streams()[7:8])
    assert torch.equal(alone, seen[7:8])
    assert torch.equal(one, share[7:8])
    assert (mixing(x, other, streams(view=1))[1] != share).any()
    assert mixing.partners == 1
    with pytest.raises(UserError, match="has no setting 'wobble'"):
        factory.build("mixings", name, {"wobble": 1})


def test_mixup_is_the_sum_that_a_slow_loop_gives():
    x, other = pictures(), pictures(seed=1)
    seen, share = MixUp(alpha=0.4)(x, other, streams())
    for row, a, b, weight in zip(seen.double(), x.double(), other.double(), share.tolist(), strict=True):
        torch.testing.assert_close(row, weight * a + (1 - weight) * b, atol=1e-6, rtol=0)
    assert ((share < 0.1) | (share > 0.9)).float().mean() > ((share > 0.4) & (share < 0.6)).float().mean()


def test_cutmix_is_the_box_that_a_slow_loop_pastes():
    x, other = torch.zeros(400, 3, 16, 20), torch.ones(400, 3, 16, 20)
    drawn = streams(400)
    seen, share = CutMix()(x, other, drawn)
    areas = random_streams.beta(random_streams.fork(drawn.view_B, 0), 1.0).double().tolist()
    centres = random_streams.uniform(random_streams.fork(drawn.view_B, 1), 2).double().tolist()
    cut = 0
    for row, left, area, (down, along) in zip(seen, share.tolist(), areas, centres, strict=True):
        high, wide = 16 * (1 - area) ** 0.5, 20 * (1 - area) ** 0.5
        top, bottom = (min(16, max(0, round(16 * down + half))) for half in (-high / 2, high / 2))
        start, end = (min(20, max(0, round(20 * along + half))) for half in (-wide / 2, wide / 2))
        wanted = torch.zeros(3, 16, 20)
        for y in range(top, bottom):
            for at in range(start, end):
                wanted[:, y, at] = 1
        assert torch.equal(row, wanted)
        assert left == pytest.approx(1 - (bottom - top) * (end - start) / 320, abs=1e-6)
        assert left == pytest.approx(1 - float(row.mean()), abs=1e-6)
        cut += left > area + 0.02
    assert 100 < cut < 390  # boxes that the edge cuts off keep more of the row than was drawn


def test_a_coin_decides_between_mixup_and_cutmix():
    x, other = torch.zeros(300, 3, 16, 20), torch.ones(300, 3, 16, 20)
    seen, share = MixUpCutMix(cutmix=0.3)(x, other, streams(300))
    boxes = ((seen == 0) | (seen == 1)).flatten(1).all(1)
    assert 0.2 < boxes.float().mean() < 0.4
    torch.testing.assert_close(1 - seen.mean((1, 2, 3)), share, atol=1e-5, rtol=0)
    assert ((MixUpCutMix(cutmix=1.0)(x, other, streams(300))[0] % 1) == 0).all()


def test_series_are_known_where_both_are_and_others_stay():
    nan = torch.nan
    x = torch.tensor([[[1.0, 2, 3, 4]], [[1, 2, nan, nan]], [[1, 2, nan, nan]]])
    other = torch.tensor([[[10.0, nan]], [[20, 20]], [[nan, nan]]])
    seen, share = MixUp()(x, other, streams(3))
    assert seen.shape == x.shape
    assert seen.isfinite()[:, 0].sum(1).tolist() == [1, 2, 2]
    assert seen[0, 0, 0].item() == pytest.approx(share[0].item() + 10 * (1 - share[0].item()), abs=1e-5)
    assert share[2] == 1
    assert torch.equal(seen[2].nan_to_num(9), x[2].nan_to_num(9))
    longer = torch.cat([other, torch.full((3, 1, 6), nan)], 2)
    assert torch.equal(MixUp()(x, longer, streams(3))[0].nan_to_num(9), seen.nan_to_num(9))


def test_a_mixing_refuses_what_it_cannot_mix_in_words():
    with pytest.raises(UserError, match="images or series"):
        MixUp()(torch.ones(2, 5, dtype=torch.int64), torch.ones(2, 5, dtype=torch.int64), streams(2))
    with pytest.raises(UserError, match="cutmix: expected images"):
        CutMix()(torch.ones(2, 1, 5), torch.ones(2, 1, 5), streams(2))
    with pytest.raises(UserError, match=r"alpha=0"):
        mixing_of(Choice("mixup", {"alpha": 0}))
    assert mixing_of(None) is None


def test_keys_of_a_mixed_view_are_those_of_a_slow_loop():
    g = torch.Generator().manual_seed(0)
    ids, partners = torch.arange(N), torch.arange(N).roll(-1)
    labels = torch.randint(0, 4, (N,), generator=g)
    labels[::5] = -1 - labels[::5]
    has = torch.rand(N, generator=g) < 0.8
    keys, other_keys = keys_of(ids, labels, has), keys_of(partners, labels[partners], has[partners])
    x = pictures()
    one = View("photo", x, {"turn": ids % 4})
    found = mix(MixUp(), one, View("photo", x[partners]), keys, other_keys, streams(), classes=4)
    assert found.field == "photo"
    assert set(found.keys) == {"turn", "lambda", "partner", "partner content photo", "soft"}
    shares = MixUp()(x, x[partners], streams().fork(2000))[1].tolist()
    for i in range(N):
        p = (i + 1) % N
        share = shares[i] if has[i] and has[p] else 1.0
        assert found.keys["lambda"][i].item() == pytest.approx(share)
        partner = p if share < 1 else i
        assert found.keys["partner"][i] == partner
        assert found.keys["partner content photo"][i] == 7 * partner + 3
        soft = [0.0] * 4
        for row, weight in ((i, share), (p, 1 - share)):
            if labels[row] >= 0:
                soft[int(labels[row])] += weight
        assert found.keys["soft"][i].tolist() == pytest.approx(soft, abs=1e-6)
        torch.testing.assert_close(found.data[i], share * x[i] + (1 - share) * x[p], atol=1e-5, rtol=0)


def test_soft_labels_are_mixed_where_there_are_some_and_none_are_made_up():
    ids = torch.arange(6)
    x, soft = pictures(6), torch.rand(6, 3)
    keys, other = ({**keys_of(i), "soft": soft[i]} for i in (ids, ids.flip(0)))
    found = mix(CutMix(), View("photo", x), View("photo", x.flip(0)), keys, other, streams(6)).keys
    share = found["lambda"][:, None]
    torch.testing.assert_close(found["soft"], share * soft + (1 - share) * soft.flip(0))
    bare = mix(CutMix(), View("photo", x), View("photo", x.flip(0)), keys_of(ids), keys_of(ids.flip(0)), streams(6))
    assert "soft" not in bare.keys


@pytest.mark.parametrize("n", [1, 2, 3, 17, 64])
def test_partners_are_the_batch_in_another_order_on_any_number_of_ranks(n):
    sampler = Shuffled(Sampled(np.arange(500, 500 + n), n, 3))
    rows, partners = sampler.at(5), sampler.partners(5, "1")
    assert sorted(partners) == sorted(rows)
    assert n == 1 or not (partners == rows).any()
    for world in (2, 3):
        parts = [sampler.partners(5, "1", rank, world) for rank in range(world)]
        assert [len(part) for part in parts] == [len(sampler.at(5, rank, world)) for rank in range(world)]
        assert np.concatenate(parts).tolist() == partners.tolist()
    if n > 16:
        others = (sampler.partners(6, "1"), sampler.partners(5, "2"), Shuffled(Sampled(rows, n, 4)).partners(5, "1"))
        assert all(not np.array_equal(partners, other) for other in others)


def test_every_row_is_the_partner_of_every_other_alike():
    sampler = Shuffled(Sampled(np.arange(5), 5, 0))
    counts = np.zeros((5, 5))
    for step in range(2000):
        counts[sampler.at(step), sampler.partners(step, "1")] += 1
    assert (np.diag(counts) == 0).all()
    off = counts[~np.eye(5, dtype=bool)]
    assert np.abs(off - 500).max() < 5 * 500**0.5


@pytest.mark.parametrize("world", [1, 2, 3])
def test_mixed_views_of_all_ranks_are_those_of_one(world):
    """Each rank reads its rows and their partners; nothing is exchanged between ranks."""
    x, labels = pictures(30), torch.arange(30) % 3
    sampler = Shuffled(Sampled(np.arange(30), 20, 1))

    def mixed(rank, world):
        rows, partners = (
            torch.from_numpy(sampler.at(4, rank, world)),
            torch.from_numpy(sampler.partners(4, "1", rank, world)),
        )
        drawn = Streams(
            *(random_streams.key(1, 0, rows, view) for view in (0, -1)),
            random_streams.step_keys(1, 4, [0]).expand(len(rows)),
        )
        one, other = View("photo", x[rows]), View("photo", x[partners])
        return mix(
            MixUpCutMix(),
            one,
            other,
            keys_of(rows, labels[rows]),
            keys_of(partners, labels[partners]),
            drawn,
            classes=3,
        )

    whole, parts = mixed(0, 1), [mixed(rank, world) for rank in range(world)]
    assert torch.equal(torch.cat([part.data for part in parts]), whole.data)
    for name, key in whole.keys.items():
        assert torch.equal(torch.cat([part.keys[name] for part in parts]), key)


def test_what_teachers_give_is_mixed_as_labels_are():
    ids, teach = torch.arange(N), torch.rand(N, 5, generator=torch.Generator().manual_seed(3))
    keys, others = keys_of(ids, ids % 3), keys_of(ids.roll(1), (ids % 3).roll(1))
    names = ("teacher", "teacher classes photo runs/a")
    keys, others = {**keys, **dict.fromkeys(names, teach)}, {**others, **dict.fromkeys(names, teach.roll(1, 0))}
    view = mix(MixUp(), View("photo", pictures()), View("photo", pictures(seed=1)), keys, others, streams(), classes=3)
    share = view.keys["lambda"]
    for name in names:
        for n in range(N):
            wanted = share[n] * teach[n] + (1 - share[n]) * teach[n - 1]
            torch.testing.assert_close(view.keys[name][n], wanted)

"""W processes compute what one does: value, gradients and parameters after steps, for every loss and both methods."""

import os
import time
from functools import partial

import pytest
import torch
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW

from kontrast.checks.processes import BATCHES, MAIN, Trial, batch_of, doubles, same, single_task, trace, trace_losses
from kontrast.checks.results import Broken
from kontrast.core import registry
from kontrast.core.embeddings import Embeddings
from kontrast.core.ranks import RankFailed, Ranks, on_ranks
from kontrast.data.view import Batch, View
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features
from kontrast.encoders.precision_mode import PrecisionMode
from kontrast.layers.rank_norm import RankNorm
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.tile_weights import TILE
from kontrast.tasks.contrastive.clip import CLIP
from kontrast.tasks.contrastive.simclr import SimCLR
from tests.support.largest import Largest
from tests.support.learners import learner_of

pytestmark = pytest.mark.dist

LOSSES = {name: {} for name in registry.rooms()["losses"]}
WORLDS = (2, 3)


class Net(Encoder):
    """Vectors of 8 to features of 6."""

    def __init__(self):
        super().__init__()
        self.width = 6
        self.net = nn.Sequential(nn.Linear(8, 12), nn.Tanh(), nn.Linear(12, 6))

    def forward(self, x):
        return Features(self.net(x))


def lacking(n, seed):
    """Rows of three fields: the first half misses "c", on one rank all do; "b" is missing here and there."""
    g = torch.Generator().manual_seed(seed)
    ids = torch.arange(n)
    views = {f"{MAIN}/{field}": View(field, torch.randn(n, 8, generator=g, dtype=torch.float64)) for field in "abc"}
    keys = {"id": ids, "has a": ids >= 0, "has b": ids % 4 != 1, "has c": ids >= n // 2}
    return Batch(views, keys | {f"content {field}": ids for field in "abc"})


def clip(ranks, **how):
    torch.manual_seed(0)
    method = learner_of(CLIP, {f: Net() for f in "abc"}, width=5)
    return trace(ranks, method, [lacking(n, seed) for seed, n in enumerate((11, 5, 11))], **how)


def simclr(ranks, **how):
    torch.manual_seed(0)
    method = learner_of(SimCLR, {"x": Net()}, hidden=7, width=5)
    if ranks.world > 1:
        net = method.served.head.net
        net[1] = RankNorm(net[1], nn.Identity(), nn.Identity())
        method.encoders.together = True
    batches = [batch_of(n, seed) for seed, n in enumerate(BATCHES)]
    named = [
        Batch({name.replace("/", "/x."): view for name, view in batch.views.items()}, batch.keys) for batch in batches
    ]
    return trace(ranks, method, named, **how)


def composed(ranks, *, half, passes, tile):
    """A trial in passes, of small tiles, in bf16: (its trace, how often gradients were exchanged)."""
    torch.manual_seed(0)
    trial = single_task(Trial(InfoNCE(), tile))
    batches = [batch_of(n, seed) for seed, n in enumerate(BATCHES)]
    if half:
        trial.float()
        trial.encoders.mode = PrecisionMode(bf16=True)
        batches = [Batch({k: View(v.field, v.data.float()) for k, v in b.views.items()}, b.keys) for b in batches]
    encode, exchanges = trial, []
    if ranks.world > 1:
        encode = DistributedDataParallel(encode)

        def counted(state, bucket):
            exchanges.append(bucket.index())
            return allreduce_hook(state, bucket)

        encode.register_comm_hook(None, counted)
    return trace(ranks, trial, batches, encode=encode, passes=passes), len(exchanges)


def held(ranks, *, n=1900, width=4, tile=TILE):
    """(the largest tensor a rank makes in a gathered loss, its part of the matrix, the bytes of what is gathered)."""
    g = torch.Generator().manual_seed(0)
    mine = slice(n * ranks.rank // ranks.world, n * (ranks.rank + 1) // ranks.world)
    z = [torch.randn(n, width, generator=g)[mine].float().requires_grad_() for _ in range(2)]
    ids = torch.arange(n)[mine]
    with Largest() as largest:
        rows = {str(k): Embeddings(one, {"id": ids, "view": torch.full_like(ids, k)}) for k, one in enumerate(z)}
        everyone = Embeddings.stack(*ranks.gather(rows).values())
        ours = Embeddings.stack(*rows.values())
        mean = contrast(ours, everyone, SameKey("id"), loss=InfoNCE(), kernel=Cosine().float(), tile=tile)
        ranks.divide({"x": mean})[0].backward()
    assert all(one.grad.abs().sum() > 0 for one in z)
    return largest.numbers, len(ours) * len(everyone), len(everyone) * (4 * width + 16)


CASES = {
    "simclr": simclr,
    "simclr, adamw": partial(simclr, optimiser=partial(AdamW, lr=1e-3, eps=1e-6)),
    "clip": clip,
    "clip, adamw": partial(clip, optimiser=partial(AdamW, lr=1e-3, eps=1e-6)),
    "clip in passes": partial(clip, passes=2),
}
COMPOSED = {
    "float64": {"half": False, "passes": None, "tile": TILE},
    "float64 in passes of small tiles": {"half": False, "passes": 2, "tile": 7},
    "bf16": {"half": True, "passes": None, "tile": TILE},
    "bf16 in passes of small tiles": {"half": True, "passes": 2, "tile": 7},
}


def asked(ranks, number):
    return ranks.rank, ranks.sum(torch.tensor([number + ranks.rank])).item(), os.getcwd(), torch.get_num_threads()


def everything(ranks):
    """All that is compared between one process and several, in one start of them."""
    found = trace_losses(ranks, LOSSES)
    with doubles():
        found |= {name: case(ranks) for name, case in CASES.items()}
        found |= {name: composed(ranks, **how) for name, how in COMPOSED.items()}
    return found | {"held": [held(ranks), held(ranks, n=900, tile=1 << 14)], "asked": asked(ranks, 5)}


@pytest.fixture(scope="module")
def one():
    return everything(Ranks())


@pytest.fixture(scope="module", params=WORLDS)
def many(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("asking"))
        found = on_ranks(everything, request.param, timeout=120)
    return {name: [of_rank[name] for of_rank in found] for name in found[0]}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_the_same_on_ranks_as_on_one(name, one, many):
    same(one[name], many[name])


@pytest.mark.parametrize("name", CASES)
def test_a_method_is_the_same_on_ranks_as_on_one_whatever_fields_its_rows_miss(name, one, many):
    same(one[name.removesuffix(" in passes")], many[name])
    assert all(g.abs().sum() > 0 for g in one[name].gradients[0].values())


@pytest.mark.parametrize("name", COMPOSED)
def test_passes_tiles_ranks_and_half_precision_compose(name, one, many):
    tolerance = {"relative": 0.05, "absolute": 0.02} if "bf16" in name else {}
    same(one[name.split(" in ")[0]][0], [found for found, _ in many[name]], **tolerance)


@pytest.mark.parametrize("name", COMPOSED)
def test_gradients_are_exchanged_once_a_step_however_many_passes(name, many):
    assert [exchanges for _, exchanges in many[name]] == [len(BATCHES)] * len(many[name])


def test_no_rank_holds_more_than_a_tile_of_logits_or_the_gathered_rows(many):
    for tile, of_size in zip((TILE, 1 << 14), zip(*many["held"], strict=True), strict=True):
        for largest, matrix, gathered in of_size:
            assert largest <= max(tile, gathered)
            assert matrix > 2 * max(tile, gathered)


def test_a_difference_is_told_in_words(one):
    wrong = one["infonce"]
    wrong = type(wrong)(wrong.values + torch.tensor([0, 0.5, 0]), wrong.gradients, wrong.parameters)
    with pytest.raises(
        Broken, match=r"step 2, on rank 1 of 2: the value differs by 5.0e-01: found 1.77.*expected 1.27"
    ):
        same(one["infonce"], [one["infonce"], wrong])


def one_raises(ranks):
    if ranks.rank == 1:
        raise LookupError("nothing here")
    return ranks.sum(torch.ones(1)).item()


def dies(ranks):
    os._exit(7)


def sleeps(ranks):
    time.sleep(100)


def test_answers_come_back_in_order_from_one_thread_each_in_the_folder_of_whoever_asked(many):
    (_, _, folder, _), W = many["asked"][0], len(many["asked"])
    assert many["asked"] == [(rank, sum(range(5, 5 + W)), folder, 1) for rank in range(W)]
    assert "asking" in folder


@pytest.mark.parametrize(
    ("function", "world", "words", "timeout"),
    [
        (one_raises, 2, "rank 1 of 2 failed: LookupError: nothing here", 60),
        (dies, 1, "rank 0 of 1 died with exit code 7", 60),
        (sleeps, 1, "rank 0 of 1 gave no answer within 1 seconds", 1),
    ],
)
def test_a_lost_rank_is_an_error_that_says_which_and_why(function, world, words, timeout):
    with pytest.raises(RankFailed, match=words):
        on_ranks(function, world, timeout=timeout)

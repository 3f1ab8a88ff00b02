"""Every relation says what a slow loop says, listed or not, alone or combined, and goes to JSON and back."""

import json
import math
from dataclasses import dataclass

import pytest
import torch

from kontrast.core import registry
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.class_counts import counts
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.positives import chosen, pull
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relation import CandidatesOnly, PositivesOnly, Relation, named
from kontrast.losses.relation_json import relation_from_json, relation_to_json
from kontrast.losses.relations.balanced import Balanced
from kontrast.losses.relations.different_group import DifferentGroup
from kontrast.losses.relations.distance_weighted import DistanceWeighted
from kontrast.losses.relations.easy_positive import EasyPositive
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.false_negatives import FalseNegatives
from kontrast.losses.relations.given_negatives import GivenNegatives
from kontrast.losses.relations.guided import Guided
from kontrast.losses.relations.hard import Hard
from kontrast.losses.relations.hardness import Hardness
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.label_column import LabelColumn
from kontrast.losses.relations.neighbours import Neighbours
from kontrast.losses.relations.preferred import Preferred
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.semi_hard import SemiHard
from kontrast.losses.relations.shared_labels import SharedLabels
from kontrast.losses.relations.soft import Soft
from kontrast.losses.relations.target_similarity import TargetSimilarity
from kontrast.losses.relations.teacher import Teacher
from kontrast.losses.relations.temporal_window import TemporalWindow
from kontrast.losses.relations.within_group import WithinGroup
from kontrast.losses.tile_weights import tiles

pytestmark = pytest.mark.quick

N = 96


def rows_of(seed=0):
    """N rows of 48 samples in two views, with a key for every relation."""
    g = torch.Generator().manual_seed(seed)
    ids = torch.arange(N // 2).repeat(2)
    lists = torch.where(torch.rand(N, 3, generator=g) < 0.6, torch.randint(0, N // 2, (N, 3), generator=g), -1)
    label = torch.randint(0, 70, (N,), generator=g)
    keys = {
        "id": ids,
        "view": torch.arange(2).repeat_interleave(N // 2),
        "label": label,
        "group": torch.randint(0, 3, (N,), generator=g),
        "time": torch.rand(N, generator=g, dtype=torch.float64) * 100,
        "tick": torch.randint(0, 10**9, (N,), generator=g) + 10**18,
        "friends": lists,
        "many": (torch.rand(N, 5, generator=g) < 0.4).long(),
        "soft": torch.rand(N, 5, generator=g, dtype=torch.float64),
        "teacher": torch.randn(N, 4, generator=g, dtype=torch.float64),
        "target": torch.randn(N, generator=g, dtype=torch.float64),
        "weight": torch.rand(N, generator=g, dtype=torch.float64),
        "prompt": torch.randint(0, 40, (N,), generator=g),
        "chosen": torch.randint(0, 2, (N,), generator=g),
        "count": counts(label),
    }
    return Embeddings(torch.randn(N, 8, generator=g, dtype=torch.float64), keys)


def cos(p, q):
    return sum(x * y for x, y in zip(p, q, strict=True)) / math.hypot(*p) / math.hypot(*q)


def shared(a, c, how):
    both = sum(x * y for x, y in zip(a["many"], c["many"], strict=True))
    apart = sum(x != y for x, y in zip(a["many"], c["many"], strict=True))
    either = both + apart
    return {"any": both > 0, "jaccard": both / either if either else 0, "hamming": 1 - apart / 5}[how]


def same(key):
    return lambda a, c: a[key] == c[key]


CASES = {  # the relation, who attracts, who counts (None: everyone)
    "same": (SameKey("id"), same("id"), None),
    "apart": (SameKey("id", apart=True), same("id"), lambda a, c: a["id"] != c["id"]),
    "soft": (Soft("soft"), lambda a, c: cos(a["soft"], c["soft"]), None),
    "within": (WithinGroup("group"), same("group"), same("group")),
    "across": (DifferentGroup("group"), lambda a, c: a["group"] != c["group"], None),
    "near": (TemporalWindow(0.5), lambda a, c: abs(a["time"] - c["time"]) <= 0.5, None),
    "near in whole numbers": (
        TemporalWindow(10**7, key="tick"),
        lambda a, c: abs(a["tick"] - c["tick"]) <= 10**7,
        None,
    ),
    "near in a series": (
        TemporalWindow(30.0, series="label"),
        lambda a, c: abs(a["time"] - c["time"]) <= 30 and a["label"] == c["label"],
        None,
    ),
    "neighbours": (Neighbours("friends"), lambda a, c: c["id"] in a["friends"], None),
    "any": (SharedLabels("many", how="any"), lambda a, c: shared(a, c, "any"), None),
    "jaccard": (SharedLabels("many"), lambda a, c: shared(a, c, "jaccard"), None),
    "hamming": (SharedLabels("many", how="hamming"), lambda a, c: shared(a, c, "hamming"), None),
    "column": (
        LabelColumn("many", 1),
        lambda a, c: a["many"][1] * c["many"][1] * shared(a, c, "hamming"),
        lambda a, c: a["many"][1] * (1 - c["many"][1]) * 5 * (1 - shared(a, c, "hamming")),
    ),
    "close": (
        TargetSimilarity("target", width=0.5),
        lambda a, c: math.exp(-2 * (a["target"] - c["target"]) ** 2),
        None,
    ),
    "inverse": (
        TargetSimilarity("target", shape="inverse"),
        lambda a, c: 1 / (1 + abs(a["target"] - c["target"])),
        None,
    ),
    "teacher": (
        Teacher(temperature=0.5),
        lambda a, c: math.exp((cos(a["teacher"], c["teacher"]) - 1) / 0.5),
        None,
    ),
    "teacher's cosine": (Teacher(temperature=None), lambda a, c: max(0, cos(a["teacher"], c["teacher"])), None),
    "given": (
        GivenNegatives("chosen", 2.5),
        lambda a, c: a["id"] == c["id"] and not c["chosen"],
        lambda a, c: 2.5 if a["id"] == c["id"] and c["chosen"] else 1,
    ),
    "preferred": (Preferred(), lambda a, c: a["prompt"] == c["prompt"] and c["chosen"], same("prompt")),
    "weighed": (SameKey("label") & KeyWeight("weight"), lambda a, c: (a["label"] == c["label"]) * c["weight"], None),
    "weighed anchor": (KeyWeight("weight", of="anchor"), lambda a, c: a["weight"], None),
    "prior": (SameKey("id") & KeyWeight("weight", what="candidates"), same("id"), lambda a, c: c["weight"]),
    "balanced": (
        SameKey("label") & Balanced(),
        same("label"),
        lambda a, c: 1 / max(1, c["count"] - (a["label"] == c["label"])),
    ),
    "either": (SameKey("id") | SameKey("label"), lambda a, c: a["id"] == c["id"] or a["label"] == c["label"], None),
    "either, not all count": (
        SameKey("id", apart=True) | SameKey("label", apart=True),
        lambda a, c: a["id"] == c["id"] or a["label"] == c["label"],
        lambda a, c: a["id"] != c["id"] or a["label"] != c["label"],
    ),
    "either, one not listed": (
        SameKey("id", apart=True) | WithinGroup("group"),
        lambda a, c: a["id"] == c["id"] or a["group"] == c["group"],
        lambda a, c: a["id"] != c["id"] or a["group"] == c["group"],
    ),
    "mixed": (
        SameKey("id") + 0.5 * SameKey("label"),
        lambda a, c: (a["id"] == c["id"]) + 0.5 * (a["label"] == c["label"]),
        None,
    ),
    "mixed, dense": (
        SameKey("id", apart=True) * 2 + Soft("soft"),
        lambda a, c: 2 * (a["id"] == c["id"]) + cos(a["soft"], c["soft"]),
        None,
    ),
    "pulling": (PositivesOnly(SameKey("id", apart=True)), same("id"), None),
    "counting": (
        SameKey("label", apart=True) & CandidatesOnly(WithinGroup("group")),
        same("label"),
        lambda a, c: a["label"] != c["label"] and a["group"] == c["group"],
    ),
    "moco": (
        SameKey("id") & CandidatesOnly(WithinGroup("id") | KeyWeight("chosen", what="candidates")),
        same("id"),
        lambda a, c: max(a["id"] == c["id"], c["chosen"]),
    ),
    **{  # by themselves, without similarities, miners are what they are wrapped around
        type(miner).__name__: (miner, same("label"), None)
        for miner in (
            Hard(SameKey("label")),
            SemiHard(SameKey("label")),
            EasyPositive(SameKey("label")),
            DistanceWeighted(SameKey("label")),
            FalseNegatives(SameKey("label")),
            Guided(SameKey("label")),
            Hardness(SameKey("label")),
        )
    },
    "mixed rows": (
        SameKey("id") & ExcludeDuplicates("label", "prompt"),
        same("id"),
        lambda a, c: a["id"] == c["id"] or not {a["label"], a["prompt"]} & {c["label"], c["prompt"]},
    ),
    "deep": (
        (SameKey("id") | Neighbours("friends")) & ExcludeDuplicates("label") & DifferentGroup("view"),
        lambda a, c: (a["id"] == c["id"] or c["id"] in a["friends"]) and a["view"] != c["view"],
        lambda a, c: a["id"] == c["id"] or a["label"] != c["label"],
    ),
}

# Relations of the folder that have no slow loop above yet: they keep what any relation keeps.
KNOWN = json.dumps([relation_to_json(case[0]) for case in CASES.values()])
OTHERS = {
    name: registry.load("relations", name)()
    for name in registry.kinds("relations")
    if f'"relation": "{name}"' not in KNOWN
}


def dense(relation, rows, budget):
    """Both weights as the engine sees them, tile by tile, lists and all."""
    keys = {name: key[None] for name, key in named(rows).items()}
    parts = list(tiles(relation, keys, keys, (1, N, N), torch.float64, budget))
    return [torch.cat([getattr(t, side).dense()[0].double() for t in parts]) for side in ("positives", "candidates")]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("budget", [700, 1 << 20])
def test_a_relation_says_what_a_slow_loop_says_and_listing_its_pairs_changes_nothing(case, budget):
    relation, positives, candidates = CASES[case]
    rows = rows_of()
    lists = {name: key.tolist() for name, key in rows.keys.items()}
    at = [{name: values[i] for name, values in lists.items()} for i in range(N)]
    expected = [
        torch.tensor([[float(f(a, c)) for c in at] for a in at], dtype=torch.float64)
        for f in (positives, candidates or (lambda a, c: 1))
    ]
    for found, wanted in zip(dense(relation, rows, budget), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", OTHERS or [None])
@pytest.mark.parametrize("budget", [700, 1 << 20])
def test_a_new_relation_says_in_tiles_what_it_says_of_each_pair(name, budget):
    relation, rows = OTHERS.get(name, Mine("label")), rows_of()
    keys = named(rows)
    at = [{name: key[i] for name, key in keys.items()} for i in range(N)]
    pairs = [[relation.weights(a, c) for c in at] for a in at]
    for side, found in enumerate(dense(relation, rows, budget)):
        wanted = [[1.0 if one[side] is None else float(one[side]) for one in row] for row in pairs]
        torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), rtol=1e-6, atol=1e-7)
    assert dense(relation, rows, budget)[0].sum() > 0


@pytest.mark.parametrize("case", ["same", "near", "near in a series", "neighbours", "either", "mixed", "deep"])
def test_relations_of_few_pairs_list_them(case):
    keys = named(rows_of())
    positives, _ = CASES[case][0].few(keys, keys)
    assert positives is not None
    assert len(positives[0]) < N * N / 10


class Watched(dict):
    """Keys that note which of them are looked at."""

    def __init__(self, keys, seen):
        super().__init__(keys)
        self.seen = seen

    def __getitem__(self, name):
        self.seen.add(name)
        return super().__getitem__(name)


@pytest.mark.parametrize("case", [*CASES, *OTHERS])
def test_a_relation_looks_at_no_key_that_it_does_not_name(case):
    seen, keys = set(), named(rows_of())
    relation = OTHERS[case] if case in OTHERS else CASES[case][0]
    relation.weights(
        Watched({name: key[:, None] for name, key in keys.items()}, seen),
        Watched({name: key[None] for name, key in keys.items()}, seen),
    )
    relation.few(Watched(keys, seen), Watched(keys, seen))
    assert seen - {"id", "view", "row"} <= relation.reads()
    assert relation.reads() <= {*keys, "guide"}


def test_mixed_rows_list_the_few_pairs_with_a_content_in_common():
    ids = torch.arange(300).repeat(2)
    rows = Embeddings(torch.zeros(600, 1), {"id": ids, "view": torch.zeros(600), "content": ids, "other": ids.roll(1)})
    keys = named(rows)
    positives, candidates = ExcludeDuplicates("content", "other").few(keys, keys)
    listed = torch.zeros(600, 600, dtype=torch.bool).index_put(candidates, torch.tensor(True))
    assert positives is None
    assert torch.equal(listed, torch.isin((ids[:, None] - ids).abs(), torch.tensor([0, 1, 299])))  # a circle
    crowded = {**keys, "other": keys["other"] % 3}
    assert ExcludeDuplicates("content", "other").few(crowded, crowded) == (None, None)


def test_a_list_of_no_neighbours_at_all_attracts_nobody():
    rows = rows_of()
    rows = Embeddings(rows.z, {**rows.keys, "friends": torch.full((N, 2), -1)})
    assert dense(Neighbours("friends"), rows, 1 << 20)[0].sum() == 0
    with pytest.raises(ValueError, match="no anchor has a positive"):
        contrast(rows, rows, Neighbours("friends"), loss=InfoNCE(), kernel=Cosine()).value()


@dataclass(frozen=True)
class Mine(Relation):
    """A stranger's relation."""

    key: str = "id"

    def weights(self, a, c):
        return a[self.key] == c[self.key], None


@pytest.mark.parametrize(
    "relation", [*(case[0] for case in CASES.values()), *OTHERS.values(), Mine("label") | SameKey("id")]
)
def test_a_relation_goes_to_json_and_back(relation):
    assert relation_from_json(json.loads(json.dumps(relation_to_json(relation)))) == relation


def test_json_names_every_relation_of_the_folder_as_find_does():
    assert relation_to_json(SameKey("id") & ExcludeDuplicates("content")) == {
        "relation": "both",
        "one": {"relation": "same_key", "key": "id", "apart": False},
        "two": {"relation": "exclude_duplicates", "key": "content", "partner": ""},
    }
    written = KNOWN + json.dumps([relation_to_json(one) for one in OTHERS.values()])
    everything = {
        *registry.rooms()["relations"],
        "both",
        "either",
        "mixed",
        "times",
        "positives_only",
        "candidates_only",
    }
    assert {name for name in everything if f'"relation": "{name}"' in written} == everything


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"relation": "same_key", "kye": "id"}, "did you mean 'key'"),
        ({"relation": "same_kye", "key": "id"}, "did you mean 'same_key'"),
        ({"relation": "both", "one": {"relation": "same_key", "key": "id"}}, "needs 'two'"),
        ({"relation": "both", "three": 1}, "has no part 'three'"),
        ({"relation": "same_key", "key": 3}, "is not str"),
        ("same_key", "needs .key."),
        (3, "a relation is written"),
        ({"relation": "temporal_window", "window": -1.0}, "expected 0 or more"),
    ],
)
def test_a_relation_that_cannot_be_is_refused_in_words(value, message):
    with pytest.raises(UserError, match=message):
        relation_from_json(value)


def test_attraction_is_never_negative():
    with pytest.raises(ValueError, match="above 0"):
        SameKey("id") * -1


@pytest.mark.parametrize("tile", [300, 1 << 20])
def test_what_attracts_is_summed_an_anchor_in_any_tiling(tile):
    rows = rows_of()
    itself = torch.eye(N, dtype=torch.bool)
    for case in ("same", "soft", "weighed", "deep"):
        whole = dense(CASES[case][0], rows, 1 << 20)[0].masked_fill(itself, 0).sum(1)
        torch.testing.assert_close(pull(rows, rows, CASES[case][0], tile=tile), whole)


@pytest.mark.parametrize("relation", [SameKey("group") & DifferentGroup("id"), SameKey("label") & DifferentGroup("id")])
def test_at_most_k_positives_are_kept_the_same_ones_in_any_order_tiling_and_part_of_the_batch(relation):
    rows = rows_of()
    kept = chosen(rows, rows, relation, k=4, seed=3)
    whole = dense(relation, rows, 1 << 20)[0]
    names = named(rows)["row"].tolist()
    for i, mine in enumerate(kept.tolist()):
        real = [names.index(name) for name in mine if name != -1]
        assert len(real) == min(4, int(whole[i].sum())) == len(set(real))
        assert all(whole[i, j] for j in real)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    again = chosen(rows[order], rows[order.flip(0)], relation, k=4, seed=3, tile=200)
    assert torch.equal(again, kept[order])
    assert torch.equal(chosen(rows[10:20], rows, relation, k=4, seed=3), kept[10:20])
    if whole.sum(1).max() > 4:
        assert not torch.equal(chosen(rows, rows, relation, k=4, seed=4), kept)
    limited = relation & Neighbours("kept", of="row")
    torch.testing.assert_close(
        pull(Embeddings(rows.z, {**rows.keys, "kept": kept}), rows, limited), (kept != -1).sum(1).float().double()
    )

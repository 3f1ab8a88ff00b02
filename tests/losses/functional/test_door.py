"""Every public loss refuses in one sentence what it cannot mean, by the role of the argument."""

import inspect
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from kontrast.core.errors import UserError
from kontrast.core.ranks import on_ranks
from kontrast.layers.memory_bank import MemoryBank
from tests.support.loss_arguments import LOSSES, C, D, N, Y, call, good, randn, role

pytestmark = pytest.mark.quick

NOT_NUMBERS = [math.nan, math.inf, -math.inf, "0.1", True, [0.1], torch.ones(2, 2), 10**400, 1j, np.nan, {}]
BAD = {
    "embeddings": [
        None, "z", [[0.0] * D] * N, np.zeros((N, D)), torch.zeros(N, D, dtype=torch.long), torch.zeros(N * D),
        torch.zeros(2, N, D), torch.zeros(N, 0), torch.zeros(N, D, dtype=torch.complex64), torch.tensor(1.0),
    ],
    "labels": [
        None, 3, "abc", Y[1:], Y[:, None], F.one_hot(Y, C), Y + 0.5, torch.full((N,), math.inf), [{}] * N,
        Y.tolist()[1:], [[0]] * N, Y + 1j, np.zeros(N, "datetime64[s]"), [[1], [1, 2]] * (N // 2), ["a", 1, 2.5, None],
    ],
    "table": [
        None, 3, "abc", Y, F.one_hot(Y, C)[1:], F.one_hot(Y, C)[None], -F.one_hot(Y, C), torch.zeros(N, 0),
        torch.full((N, C), math.nan), torch.full((N, C), math.inf), [["a"] * C] * N, torch.zeros(N, C) + 1j,
    ],
    "centres": [
        None, "abc", randn(C, D + 1), randn(C), randn(C, 1), randn(0, D), randn(1, C, D), torch.zeros(C, D).long(),
        np.zeros((C, D)), randn(C, D) + 1j,
    ],
    "answers": [None, [0.0] * N, randn(N, 1), randn(1, N), randn(N - 1), randn(2, 3, 4), randn(N) + 1j, randn(N) > 0],
    "lengths": [None, [1] * N, torch.ones(N, 1), torch.ones(N - 1), -torch.ones(N), torch.full((N,), math.nan)],
    "amounts": [
        None, 3, "abc", randn(N - 1), randn(N, 1), randn(N, 2), torch.full((N,), math.inf), ["a"] * N, [{}] * N,
        randn(N) + 1j,
    ],
    "outputs": [
        None, 3, [], randn(N, D), [randn(N, D), randn(N - 1, D)], [randn(N, D), randn(N, D + 1)],
        [randn(N, D), randn(N)], [randn(N, D), None], [torch.zeros(N, D).long()] * 2,
    ],
    "bags": [None, "abc", randn(N, D), randn(N - 1, 2, D), randn(N, 2, D + 1), randn(N, 0, D), torch.ones(N, 2, D) > 0],
    "negatives": [3, "abc", [], randn(0, D), randn(C, D + 1), randn(D), randn(N - 1, 2, D), torch.zeros(C, D).long()],
    "guide": [3, randn(N, D), [], [randn(N, D)], [randn(N - 1, D), randn(N, D)], [randn(N, D), None]],
    "slots": ["abc", torch.tensor([]), [], torch.tensor([20]), torch.tensor([-1]), torch.tensor([0.5]), [[1]], 3],
    "prior": [3, "abc", torch.ones(C + 1), -torch.ones(C), torch.zeros(C), torch.full((C,), math.nan), [["a"]]],
    "object": [None, 3, torch.zeros(20, D), torch.nn.Linear(2, 2)],
    "above 0": [0, 0.0, -1, -0.1, None, torch.tensor(0.0), torch.tensor(-1.0), torch.tensor(math.nan), *NOT_NUMBERS],
    "not negative": [-1, -1e-9, None, torch.tensor(-1.0), *NOT_NUMBERS],
    "share": [-0.1, 1.5, None, *NOT_NUMBERS],
    "number": [*NOT_NUMBERS],
    "flag": ["yes", 1, 0, None, torch.tensor(True), 0.5],
    "whole": [-1, 1.5, "2", True, torch.ones(2), [1], math.nan],
    "name": ["semi-hard", "hardest", "", 3, None, True, ["hard"]],
}  # fmt: skip
FURTHER = {  # a range of its own
    ("arcface", "margin"): [28.6, math.pi, -0.1],
    ("cosface", "margin"): [20, -0.1],
    ("circle", "margin"): [1.1],
    ("proxy_anchor", "margin"): [3],
    ("multi_similarity", "centre"): [1.5, -2],
    ("wmse", "size"): [0, 1],
    ("wmse", "shrink"): [1.0],
    ("debiased", "prior"): [1.0],
    ("swav", "assigned"): [0, 3],
    ("swav", "scores"): [[randn(N, D)]],
    ("swav", "iterations"): [0],
    ("instance_discrimination", "ids"): [torch.arange(N) + 13, torch.arange(N) - 1, ["a"] * N],
    ("instance_discrimination", "memory"): [MemoryBank(samples=20, width=D + 1)],
    ("sogclr", "ids"): [torch.arange(N) + 13, torch.arange(N) - 1],
    ("herocon", "labels"): [2 * F.one_hot(Y, C), F.one_hot(Y, C) + 0.5],
    ("moco", "k"): [randn(N - 3, D), randn(N, D + 1)],
    ("dino", "centre"): [randn(D + 1), randn(N, D)],
    ("dino", "teacher"): [[randn(N, D + 1)] * 2],
    ("cosent", "scores"): [torch.full((N,), math.nan), [None] * N],
    ("angle", "z1"): [randn(N, D + 1)],
    **{(name, "labels"): [Y + 1, Y - 2, list("aabbccab")] for name in ("arcface", "cosface", "proxy_anchor", "paco")},
    ("tsc", "labels"): [Y + 1, Y - 2, list("aabbccab")],
    ("bcl", "labels"): [Y + 1, Y - 2],
}
SIDES = {"z2", "key", "q", "f", "p", "v1", "bags"}
SEVERAL = ["ntxent", *(name for name in LOSSES if SIDES & {*inspect.signature(LOSSES[name]).parameters})]


def refused(name, argument, value):
    """The words with which it is refused: one sentence, of this argument."""
    with pytest.raises(UserError) as found:
        call(name, **{argument: value})
    words = str(found.value)
    assert "\n" not in words
    assert 20 < len(words) < 330
    assert words.endswith((".", ")"))
    assert "expected" in words or "nothing to compare" in words or "one view alone" in words, words
    return words


@pytest.mark.parametrize("name", LOSSES)
def test_every_class_of_mistake_is_refused_in_one_sentence_for_every_argument(name):
    call(name)  # the arguments are right to begin with
    for argument, parameter in inspect.signature(LOSSES[name]).parameters.items():
        arguments = ["z1", "z2"] if parameter.kind is parameter.VAR_POSITIONAL else [argument]
        what = role(name, argument)
        for given in arguments:
            for bad in [*BAD[what], *FURTHER.get((name, given), [])]:
                if bad is None and (parameter.default is None or name == "ntxent"):
                    continue  # None is a meaning of its own there
                if argument == "seed" and isinstance(bad, int) and not isinstance(bad, bool):
                    continue
                if name == "supcon" and what == "above 0" and isinstance(bad, torch.Tensor) and bad.numel() > 1:
                    continue
                refused(name, given, bad)


@pytest.mark.parametrize("name", SEVERAL)
def test_sides_of_other_shapes_never_broadcast(name):
    side = next(a for a in ("z2", "k", "g", "t", "v2", "key", "z") if a in inspect.signature(LOSSES[name]).parameters)
    side = "z2" if name == "ntxent" else "bags" if name == "mil_nce" else side
    shapes = [(N - 1, D), (N, D + 1), (N, 1), (1, D), (1, 1)]
    for shape in shapes:
        refused(name, side, randn(*((*shape[:1], 2, *shape[1:]) if side == "bags" else shape)))


def emptied(name):
    """The arguments of a loss for a batch without rows."""
    none = {"z1": randn(0, D), "z2": randn(0, D)} if name == "ntxent" else {}
    for argument, value in good(name).items():
        what = role(name, argument)
        if what in ("embeddings", "labels", "table", "answers", "lengths", "amounts", "bags"):
            none[argument] = value[:0]
        elif what == "outputs":
            none[argument] = [x[:0] for x in value]
    return none


@pytest.mark.parametrize("name", LOSSES)
def test_an_empty_batch_gives_one_and_the_same_error(name):
    with pytest.raises(UserError, match=r"^an empty batch: no rows to compare; expected at least one"):
        call(name, **emptied(name))


def _uneven(ranks):
    return {name: call(name, **(emptied(name) if ranks.rank else {})).detach().item() for name in LOSSES}


@pytest.mark.timeout(180)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.dist
def test_a_rank_may_have_no_rows_where_another_has_some():
    one, two = on_ranks(_uneven, 2)
    for name in LOSSES:
        assert (one[name] + two[name]) / 2 == pytest.approx(call(name).detach().item(), rel=1e-6, abs=1e-9), name


def test_messages_say_what_was_found_what_was_expected_and_what_to_do():
    for words, name, argument, value in (
        (
            "margin=28.6; expected a finite number of at least 0 and below 3.14",
            "arcface",
            "margin",
            28.6,
        ),
        ("triplets='semi-hard'; did you mean 'semihard'\\?", "triplet", "triplets", "semi-hard"),
        (r"labels have shape \(8, 1\) for 8 rows; .* labels.squeeze\(1\) makes it so", "supcon", "labels", Y[:, None]),
        (r"labels have shape \(8, 3\) for 8 rows; expected \(8,\)", "supcon", "labels", F.one_hot(Y, C)),
        ("labels from 1 to 3 for 3 classes; expected 0 to 2, or -1", "arcface", "labels", Y + 1),
        (r"q \(8, 4\), k \(5, 4\); expected one shape", "moco", "k", randn(5, D)),
        (r"chosen_reference is a tensor \(8, 1\); expected \(pairs,\)", "dpo", "chosen_reference", randn(N, 1)),
        ("temperature=-1; expected a finite number above 0", "supcon", "temperature", -1),
        ("labels hold 0.5; .* take rnc", "supcon", "labels", torch.full((N,), 0.5)),
    ):
        with pytest.raises(UserError, match=words):
            call(name, **{argument: value})

"""Every public loss refuses what it cannot mean, by the role of the argument and in one sentence; takes labels in any
form; and gives a temperature its gradient."""

import inspect
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import on_ranks
from kontrast.layers.estimates import Estimates
from kontrast.layers.memory_bank import MemoryBank
from kontrast.losses import functional
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.shared_labels import SharedLabels
from kontrast.losses.relations.target_similarity import TargetSimilarity
from kontrast.losses.relations.within_group import WithinGroup

N, D, C = 8, 4, 3
Y = torch.tensor([0, 0, 1, 1, 2, 2, 0, 1])
LOSSES = {name: getattr(functional, name) for name in functional.__all__}


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# What each argument is, by its name; a new name has to be given a role here.
ROLES = {
    **dict.fromkeys(
        ("z", "z1", "z2", "query", "key", "q", "k", "f", "g", "p", "t", "v1", "v2", "g1", "g2"), "embeddings"
    ),
    **dict.fromkeys(("labels", "groups", "ids"), "labels"),
    **dict.fromkeys(("temperature", "teacher_temperature", "centre_temperature"), "above 0"),
    **dict.fromkeys(("sigma", "scale", "beta", "power", "pull", "push", "alpha", "epsilon", "strength"), "above 0"),
    **dict.fromkeys(("l2", "hardness", "off", "invariance", "variance", "covariance", "weight"), "not negative"),
    **dict.fromkeys(("proximal", "margin", "near"), "not negative"),
    **dict.fromkeys(("prior", "shrink", "discount"), "share"),
    **dict.fromkeys(("bias", "centre", "slack", "false_negatives", "guide_margin"), "number"),
    **dict.fromkeys(("both", "mean", "even", "soft", "in_batch"), "flag"),
    **dict.fromkeys(("points", "centres", "proxies", "queue"), "centres"),
    **dict.fromkeys(("k", "seed", "assigned", "iterations", "size"), "whole"),
    **dict.fromkeys(("chosen", "rejected", "chosen_reference", "rejected_reference", "wanted", "unwanted"), "answers"),
    **dict.fromkeys(("chosen_length", "rejected_length"), "lengths"),
    **dict.fromkeys(("targets", "scores"), "amounts"),
    **dict.fromkeys(("student", "teacher"), "outputs"),
    "triplets": "name",
    "memory": "object",
    "estimates": "object",
    "bags": "bags",
    "negatives": "negatives",
    "guide": "guide",
    "noise": "slots",
    "features": "embeddings",
}
# The same name for something else.
ELSE = {
    ("moco", "k"): "embeddings",
    ("kcl", "k"): "whole",
    ("tsc", "k"): "whole",
    ("align_uniform", "t"): "above 0",
    ("gensupcon", "soft"): "table",
    ("gensupcon", "teacher"): "table",
    ("herocon", "labels"): "table",
    ("paco", "alpha"): "not negative",
    ("paco", "prior"): "prior",
    ("bpr", "margin"): "number",
    ("simpo", "margin"): "number",
    ("cpl", "bias"): "not negative",
    ("swav", "scores"): "outputs",
    ("npair", "f"): "embeddings",
    ("npair", "g"): "embeddings",
}


def role(name, argument):
    found = ELSE.get((name, argument), ROLES.get(argument))
    return "embeddings" if found == "whole" and argument == "k" and name == "moco" else found


def good(name):
    """Arguments that a loss takes; views as `z` of `ntxent` are positional."""
    memory = MemoryBank(samples=20, width=D).double()
    memory.log_mean.fill_(0.3)
    given = {
        "embeddings": lambda a: randn(N, D, seed=len(a) + ord(a[-1])).requires_grad_(),
        "labels": lambda a: torch.arange(N) if a == "ids" else Y if a == "labels" else torch.arange(N) % 2,
        "table": lambda a: F.one_hot(Y, C) if name == "herocon" else 0.8 * F.one_hot(Y, C) + 0.1,
        "centres": lambda a: randn(C, D, seed=3),
        "answers": lambda a: randn(N, seed=len(a)),
        "lengths": lambda a: torch.arange(N) + 1,
        "amounts": lambda a: randn(N, seed=5),
        "outputs": lambda a: [randn(N, D, seed=6), randn(N, D, seed=7)],
        "bags": lambda a: randn(N, 2, D, seed=8),
        "slots": lambda a: torch.arange(9, 15),
        "prior": lambda a: torch.tensor([0.5, 0.3, 0.2]),
        "object": lambda a: memory if a == "memory" else Estimates(samples=20, rate=1.0).double(),
    }
    out = {}
    for argument, parameter in inspect.signature(LOSSES[name]).parameters.items():
        what = role(name, argument)
        assert what, f"{name} has an argument '{argument}' without a role"
        needed = parameter.default is parameter.empty or what in ("table", "slots", "prior", "centres")
        if needed and parameter.kind is not parameter.VAR_POSITIONAL:
            out[argument] = given[what](argument)
    if name == "hard_negative":
        out["prior"] = 0.02
    return out


def call(name, **given):
    if name == "ntxent":
        views = [given.pop("z1", None), given.pop("z2", None)]
        views = [randn(N, D, seed=s).requires_grad_() if v is None else v for s, v in enumerate(views)]
        return functional.ntxent(*views, **given)
    return LOSSES[name](**{**good(name), **given})


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


@pytest.mark.parametrize("name", [n for n in LOSSES if role(n, "labels") == "labels" and "labels" in good(n)])
def test_labels_come_as_tensors_arrays_lists_bools_and_names(name):
    two = (Y > 0).long()
    wanted = call(name, labels=two)
    forms = [two.int(), two.to(torch.uint8), two.bool(), two.double(), two.numpy(), two.numpy().astype(">i2"),
             two.numpy()[::-1].copy()[::-1], two.bool().numpy(), two.tolist(), tuple(two.tolist()),
             two.bool().tolist(), two.double().tolist(), np.array(two.tolist(), dtype=object), list(two)]  # fmt: skip
    for form in forms:
        torch.testing.assert_close(call(name, labels=form), wanted)
    if not {"proxies", "points", "centres"} & {*good(name)}:
        for names in (["no", "yes"], ["", "\udcff"], ["é", "e"]):
            for form in ([names[y] for y in two], np.array([names[y] for y in two], dtype=object)):
                torch.testing.assert_close(call(name, labels=form), wanted)


def test_a_name_has_one_number_in_every_process():
    z = torch.zeros(2, 1)
    assert input_checks.labels(["cat", b"cat"], z).tolist() == [1714832134300930969, 1714832134300930969]
    assert input_checks.labels([None, math.nan], z).tolist() == [-1, -1]
    assert input_checks.labels(np.array(["-1", "b"]), z)[0] != -1


ALIKE = ("supcon", "supcon_inside", "soft_nearest_neighbour", "multi_positive", "triplet", "circle", "multi_similarity")


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("unknown", [-1, None, math.nan])
def test_rows_of_unknown_label_are_candidates_and_nobodys_positive(name, unknown):
    labels = [0, 0, unknown, 1, unknown, 1, 0, 1]
    apart = [0, 0, 2, 1, 3, 1, 0, 1]  # each alone in a class of its own
    torch.testing.assert_close(call(name, labels=labels), call(name, labels=apart))
    with pytest.raises(UserError, match=r"positive|two rows have"):
        call(name, labels=[unknown] * N)


@pytest.mark.parametrize("name", ["arcface", "cosface", "proxy_anchor"])
def test_rows_of_unknown_label_belong_to_no_centre_and_are_pushed_from_none(name):
    known = Y != 1
    z, proxies = good(name)["z"], good(name)["proxies"]
    found = call(name, z=z, labels=torch.where(known, Y, -1), proxies=proxies)
    torch.testing.assert_close(found, call(name, z=z[known], labels=Y[known], proxies=proxies))


@pytest.mark.parametrize("name", ["kcl", "fscl"])
def test_two_rows_of_unknown_label_are_as_two_of_classes_of_their_own(name):
    z, alone = good(name)["z"].detach(), torch.arange(N) // 2 == 1
    for rows in (z, torch.where(alone[:, None], z[2], z)):  # were they positives, the second would be as near as can be
        found = call(name, z=rows, labels=torch.where(alone, -1, Y))
        torch.testing.assert_close(found, call(name, z=rows, labels=torch.where(alone, torch.arange(N) + 50, Y)))


def test_rows_of_unknown_label_count_in_denominators_alone_where_classes_are_indices():
    z, centres, alone = randn(N, D), randn(C, D, seed=3), torch.arange(N) // 2 == 1
    labels = torch.where(alone, -1, Y)
    e = (F.cosine_similarity(z[:, None], z, dim=-1) / 0.1).exp().fill_diagonal_(0)
    anchors = (~alone).nonzero().flatten().tolist()
    positives = {i: [j for j in range(N) if j != i and labels[j] == labels[i]] for i in anchors}
    by_class = [
        torch.stack([e[i][labels == c].sum() / ((labels == c).sum() - int(labels[i] == c)) for c in (-1, 0, 1, 2)
                     if (labels == c).sum() > int(labels[i] == c)]).sum().log()
        - e[i][positives[i]].log().mean()
        for i in anchors if positives[i]
    ]  # fmt: skip
    torch.testing.assert_close(functional.bcl(z, labels), torch.stack(by_class).mean())
    logits = F.normalize(z, dim=1) @ centres.T
    lost = [
        (e[i].sum() + logits[i].exp().sum()).log()
        - (0.05 * e[i][positives[i]].log().sum() + logits[i, labels[i]]) / (0.05 * len(positives[i]) + 1)
        for i in anchors
    ]
    found = functional.paco(z, labels, centres, temperature=0.1)
    torch.testing.assert_close(found, torch.stack(lost).mean())


def test_relations_take_minus_one_for_unknown_in_tiles_and_in_lists():
    z, label = randn(6, D), torch.tensor([-1, -1, 0, 0, -1, 0])
    for key in (label, label.double(), label.to(torch.int8)):
        ids = torch.arange(6)
        keys = {"id": ids, "view": ids * 0, "label": key}
        for relation in (SameKey("label"), WithinGroup("label")):
            attract, among = relation.weights({"label": key[:, None]}, {"label": key[None]})
            assert attract.tolist() == ((label[:, None] == label) & (label[:, None] >= 0)).tolist()
            assert among is None or torch.equal(among, attract)
        rows = Embeddings(z, keys)
        found = contrast(rows, rows, SameKey("label"), loss=InfoNCE(), kernel=Cosine(temperature=0.5), tile=6).value()
        known = label >= 0
        zn = F.normalize(z, dim=1)
        s = (zn @ zn.T / 0.5).fill_diagonal_(-math.inf)
        pull = torch.stack([s[i][known & (ids != i)].mean() for i in ids[known]])
        torch.testing.assert_close(found, (s[known].logsumexp(1) - pull).mean())


@pytest.mark.parametrize(
    "made",
    [
        lambda: TargetSimilarity("y", shape="invers"),
        lambda: SharedLabels("y", how="jacard"),
        lambda: KeyWeight("y", what="amongst"),
        lambda: KeyWeight("y", of="row"),
    ],
)
def test_misspelt_names_of_relations_are_refused(made):
    with pytest.raises(UserError, match="expected one of"):
        made()


TEMPERED = [
    (name, argument)
    for name in LOSSES
    for argument in inspect.signature(LOSSES[name]).parameters
    if argument in ("temperature", "centre_temperature", "scale", "bias")
    and "Tensor" in str(inspect.signature(LOSSES[name]).parameters[argument].annotation)
]


@pytest.mark.parametrize(("name", "argument"), TEMPERED)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_temperature_that_is_a_tensor_gets_its_gradient(name, argument, shape):
    """Against central differences of the value, in float64; and the embeddings get the same as with a number."""
    at, step = (-0.7 if argument == "bias" else 0.6), 1e-5
    learned = torch.full(shape, at, dtype=torch.float64, requires_grad=True)
    value = call(name, **{argument: learned})
    torch.testing.assert_close(value, call(name, **{argument: at}), rtol=1e-9, atol=1e-9)
    (slope,) = torch.autograd.grad(value, learned)
    up, down = (call(name, **{argument: at + h}).detach().item() for h in (step, -step))
    assert slope.shape == shape
    assert float(slope) == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-7)
    assert slope.abs() > 1e-6
    of_log = learned.detach().log().requires_grad_() if at > 0 else None  # as CLIP learns it
    if of_log is not None:
        call(name, **{argument: of_log.exp()}).backward()
        torch.testing.assert_close(of_log.grad, slope * at)


def test_the_floor_of_debiased_contrast_hangs_on_the_temperature_too():
    z1, z2 = randn(N, D).requires_grad_(), randn(N, D, seed=1)
    for temperature in (0.5, 2.0):
        learned = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
        value = functional.debiased(z1, z2, prior=0.6, temperature=learned)
        (slope,) = torch.autograd.grad(value, learned)
        up, down = (
            functional.debiased(z1, z2, prior=0.6, temperature=temperature + h).detach().item() for h in (1e-6, -1e-6)
        )
        assert float(slope) == pytest.approx((up - down) / 2e-6, rel=1e-4)


def slow_rnc(z, y, temperature=2.0):
    z, losses = z.double(), []
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        s = {k: -torch.linalg.vector_norm(z[i] - z[k]) / temperature for k in others}
        far = {k: abs(y[i] - y[k]) for k in others}
        losses.append(
            torch.stack([
                torch.stack([s[k] for k in others if far[k] >= far[j]]).logsumexp(0) - s[j] for j in others
            ]).mean()
        )  # fmt: skip
    return torch.stack(losses).mean()


def test_rank_n_contrast_is_exact_for_skewed_targets_and_for_tight_clusters():
    g = torch.Generator().manual_seed(0)
    y = torch.exp(6 * torch.randn(24, generator=g, dtype=torch.float64))  # from about 1e-6 to 1e6
    y[1], y[3] = y[0], y[2] * (1 + 1e-12)
    z = torch.randn(24, D, generator=g)
    tight = torch.cat([z[:12] * 1e-3, z[12:] * 1e-3 + 10])  # float32 squares of 400 leave nothing of 1e-6
    for rows in (z, tight):
        one, two = rows.clone().requires_grad_(), rows.clone().requires_grad_()
        found, wanted = functional.rnc(one, y), slow_rnc(two, y.tolist())
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), wanted, rtol=1e-6, atol=1e-6)
        found.backward()
        wanted.backward()
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-6)


def test_rank_n_contrast_leaves_out_rows_without_a_target():
    z, y = randn(N, D), randn(N, seed=1)
    gone = y.clone()
    gone[2] = math.nan
    kept = torch.arange(N) != 2
    torch.testing.assert_close(functional.rnc(z, gone), functional.rnc(z[kept], y[kept]))
    as_list = [None if math.isnan(v) else v for v in gone.tolist()]
    torch.testing.assert_close(functional.rnc(z, as_list), functional.rnc(z, gone))
    with pytest.raises(UserError, match="positive"):
        functional.rnc(z, [None] * N)


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

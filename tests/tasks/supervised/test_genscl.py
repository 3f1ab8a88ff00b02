"""GenSCL: the loss of labels and teacher against slow float64 loops, and SupCon as its special case."""

import math

import pytest
import torch

from kontrast.core.embeddings import Embeddings
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.losses import functional as F
from kontrast.tasks.supervised.genscl import GenSCL
from kontrast.tasks.taught import taught_key

N, C = 9, 3
KEY = taught_key("x", "runs/large", "teacher classes")
G = torch.Generator().manual_seed(0)
Z = torch.randn(N, 4, dtype=torch.float64, generator=G)
SOFT, CHANCES = (torch.rand(N, C, dtype=torch.float64, generator=G) for _ in range(2))
CHANCES[5] = 0  # a row that the teacher does not know
SOFT[2] = 0  # a row without a label
LABEL = torch.arange(N) % C


def rows(**keys):
    ids = torch.arange(N)
    own = {"id": ids, "view": torch.zeros(N, dtype=torch.long), "has x": ids >= 0, "content x": ids}
    return {"x.1": Embeddings(Z, {**own, **keys})}


def task(facts, **settings):
    return GenSCL(EncoderInfo({"x": 4}), target_facts=facts, **settings)


def terms(made, **keys):
    return made.compute_loss(rows(**keys), Ranks(alone=True))


def cos(a, b):
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size else 0.0


def slow(y, temperature):
    """Sum over anchors that are alike to any other row, and their number."""
    total, count = 0.0, 0
    for i in range(N):
        alike = {j: cos(y[i], y[j]) for j in range(N) if j != i}
        if not sum(alike.values()):
            continue
        s = {j: cos(Z[i], Z[j]) / temperature for j in alike}
        whole = math.log(sum(math.exp(v) for v in s.values()))
        total, count = total - sum(g * (s[j] - whole) for j, g in alike.items()) / sum(alike.values()), count + 1
    return total, count


@pytest.mark.parametrize("softening", [1.0, 3.0])
def test_labels_and_teacher_each_pull_by_the_cosine_of_their_classes(softening):
    facts = {"soft": {"classes": C}, KEY: {"classes": C}}
    made = task(facts, teacher="runs/large", alpha=0.5, softening=softening, temperature=0.25)
    assert made.needs == {"soft", KEY}
    found = terms(made, soft=SOFT, **{KEY: CHANCES})
    powered = CHANCES ** (1 / softening)
    for name, (y, weight) in {"labels": (SOFT, 1), "teacher": (powered, 0.5)}.items():
        total, count = slow(y, 0.25)
        assert float(found[name].total) == pytest.approx(total, rel=1e-9)
        assert (float(found[name].count), found[name].weight) == (count, weight)


def test_classes_without_mixing_and_teacher_are_supcon_and_with_a_teacher_the_functional():
    made = task({"label": {"classes": C}, KEY: {"classes": C}})
    assert made.needs == {"label"}
    (term,) = terms(made, label=LABEL).values()
    assert float(term.value()) == pytest.approx(float(F.supcon(Z, LABEL)), rel=1e-9)
    known = torch.rand(N, C, dtype=torch.float64, generator=G)
    made = task({"label": {"classes": C}, KEY: {"classes": C}}, teacher="runs/large", alpha=2.0)
    found = terms(made, label=LABEL, **{KEY: known})
    whole = F.gensupcon(Z, torch.eye(C)[LABEL], teacher=known, alpha=2.0)
    assert sum(float(term.value()) for term in found.values()) == pytest.approx(float(whole), rel=1e-6)


def test_mixed_rows_are_alike_by_the_shares_of_their_classes():
    made = task({"label": {"classes": C}}, temperature=0.25)
    (term,) = terms(made, label=LABEL, soft=SOFT).values()  # a mixing gives `soft` beside the label
    assert float(term.total) == pytest.approx(slow(SOFT, 0.25)[0], rel=1e-9)

"""DINO against a slow float64 loop and the authors' own values; teacher, centre, crops and the last layer."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from kontrast.checks.processes import doubles
from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoders import EncodedViews
from kontrast.training.step import rows_of, step
from tests.support.vectors import batch_of, learner_of

ALONE = Ranks(alone=True)
SETTINGS = {"crops": 2, "prototypes": 5, "hidden": 7, "width": 4, "frozen": 0.5}
VIEWS = ["x.1", "x.2", "x.local1", "x.local2"]


def softmax(scores, temperature):
    e = [math.exp(s / temperature) for s in scores]
    return [x / sum(e) for x in e]


def test_each_view_predicts_what_the_teacher_makes_of_the_other_global_views():
    with doubles():
        learner = learner_of("dino", SETTINGS)
        task = learner.served
        task.centre.mean.copy_(torch.tensor([0.3, -0.2, 0.1, 0.0, -0.4]))
        task.copied_prototypes.module.directions.copy_(torch.randn(5, 4))  # the copy lags behind
        task.begin(Clock(0, 0.15))
        out = rows_of(learner, {"": batch_of(learner, range(5), has=[True, True, True, True, False])})["contrast"]
        found = task.compute_loss(out, ALONE)
    cosines = {}
    for name, rows in out.items():
        layer = task.copied_prototypes.module if name.startswith("target") else task.prototypes
        cosines[name] = (normalize(rows.z[:4], dim=1) @ normalize(layer.directions.detach(), dim=1).T).tolist()
    total, centre = 0.0, task.centre.mean.tolist()
    for a in ("x.1", "x.2"):
        for v in set(VIEWS) - {a}:
            for i in range(4):
                q = softmax([t - c for t, c in zip(cosines[f"target {a}"][i], centre, strict=True)], 0.055)
                p = softmax(cosines[v][i], 0.1)
                total -= sum(q[k] * math.log(p[k]) for k in range(5)) / (2 * 3 * 4)
    assert sum(term.value().item() for term in found.values()) == pytest.approx(total, rel=1e-10)


def numbers(step, view, rows=3, width=4):
    return torch.sin(1.7 * torch.arange(rows * width) + 2.3 * view + 0.9 * step).view(rows, width)


# DINOLoss(out_dim=5, ncrops=4, 0.04, 0.07, warmup_teacher_temp_epochs=3, nepochs=10) of facebookresearch/dino at
# 04c0ad9, on the cosines of the same numbers, one step per epoch; then its centre.
THEIRS = [3.79609632, 5.5156755, 5.47066943, 3.75551053]
CENTRE = [-0.06084609, -0.07155655, -0.06120906, -0.03778017, -0.00678251]


def test_four_steps_have_the_values_of_the_authors_code():
    with doubles():
        task = learner_of("dino", SETTINGS).served
        for layer in (task.prototypes, task.copied_prototypes.module):
            layer.directions.data = normalize(numbers(9, 9, rows=5), dim=1)
        keys = {"id": torch.arange(3), "has x": torch.ones(3, dtype=torch.bool)}
        names = {**dict(zip(VIEWS, range(4), strict=True)), "target x.1": 10, "target x.2": 11}
        values = []
        for n, progress in enumerate([0.0, 0.15, 0.3, 0.5]):
            task.begin(Clock(n, progress))
            out = {name: Embeddings(numbers(n, view), keys) for name, view in names.items()}
            values.append(sum(term.value().item() for term in task.compute_loss(out, ALONE).values()))
            task.after_update(out, ALONE)
    assert values == pytest.approx(THEIRS, abs=2e-8)
    assert task.centre.mean.tolist() == pytest.approx(CENTRE, abs=2e-8)


@pytest.mark.parametrize(
    ("warmup", "progress", "temperature"),
    [(0.3, 0.0, 0.04), (0.3, 0.15, 0.055), (0.3, 0.3, 0.07), (0.3, 1.0, 0.07), (0.0, 0.0, 0.07), (1.0, 0.5, 0.055)],
)
def test_the_teachers_temperature_rises_and_stays(warmup, progress, temperature):
    task = learner_of("dino", {**SETTINGS, "warmup": warmup}).served
    task.begin(Clock(0, progress))
    assert task.loss.teacher_temperature == pytest.approx(temperature)


def test_momentum_goes_to_one_and_moves_head_and_last_layer_of_the_teacher():
    task = learner_of("dino", {**SETTINGS, "momentum": 0.5}).served
    for progress, momentum in ((0.0, 0.5), (0.5, 0.75), (1.0, 1.0)):
        task.begin(Clock(0, progress))
        assert task.momentum == pytest.approx(momentum)
    task.begin(Clock(0, 0.0))
    keys = {"id": torch.arange(2), "has x": torch.ones(2, dtype=torch.bool)}
    out = {f"target {name}": Embeddings(torch.randn(2, 4), keys) for name in ("x.1", "x.2")}
    for own, copied in ((task.head, task.copied), (task.prototypes, task.copied_prototypes)):
        for p in own.parameters():
            p.data.fill_(3.0)
        for p in copied.parameters():
            p.data.fill_(1.0)
    task.after_update(out, ALONE)
    assert all(bool((p == 2.0).all()) for part in (task.copied, task.copied_prototypes) for p in part.parameters())


def test_the_centre_takes_the_teachers_scores_of_the_step_before_the_teacher_moves():
    task = learner_of("dino", {**SETTINGS, "momentum": 0.0, "centre": 0.75}).served
    task.begin(Clock(0, 0.0))
    keys = {"id": torch.arange(3), "has x": torch.tensor([True, False, True])}
    out = {f"target {name}": Embeddings(torch.randn(3, 4), keys) for name in ("x.1", "x.2")}
    with torch.no_grad():
        task.prototypes.directions.neg_()  # where the teacher goes to
        scores = torch.cat([task.copied_prototypes(rows.z[[0, 2]]) for rows in out.values()])
    task.after_update(out, ALONE)
    assert torch.allclose(task.centre.mean, 0.25 * scores.mean(0))
    assert torch.equal(task.copied_prototypes.module.directions, task.prototypes.directions)


def test_a_centred_teacher_uses_more_prototypes_than_one_that_prefers_a_direction():
    task = learner_of("dino", SETTINGS).served
    task.begin(Clock(0, 0.0))
    scores = torch.randn(400, 5) * 0.05 + torch.tensor([0.5, 0.0, 0.0, 0.0, 0.0])

    def entropy():
        used = task.loss.targets(task.centre(scores), ALONE).mean(0)
        return float(-(used * used.clamp_min(1e-9).log()).sum())

    before = entropy()
    for _ in range(40):
        task.centre.update(scores, ALONE)
    assert before < 0.1 < 1.4 < entropy()  # log 5 is 1.61


def test_the_teacher_sees_global_views_alone_and_the_student_all():
    learner = learner_of("dino", SETTINGS)
    task, batch = learner.served, batch_of(learner, range(6))
    assert [spec.role for spec in task.views().values()] == ["global", "global", "local", "local"]
    seen = {"networks": [], "momentum": []}
    for copies, found in seen.items():
        module = getattr(learner.encoders, copies)["x"]
        module.register_forward_hook(lambda m, x, y, found=found: found.append(len(x[0])))
    out = rows_of(learner, {"": batch})["contrast"]
    assert (sum(seen["networks"]), sum(seen["momentum"])) == (24, 12)
    assert list(out) == [*VIEWS, "target x.1", "target x.2"]
    with pytest.raises(RuntimeError, match="for `targets` alone"):
        task.targets(EncodedViews(learner.encoders), batch)


@pytest.mark.parametrize(("progress", "moves"), [(0.0, False), (0.49, False), (0.5, True)])
def test_the_last_layer_moves_only_after_the_share_in_which_it_is_frozen(progress, moves):
    with doubles():
        learner = learner_of("dino", SETTINGS)
        learner.begin(Clock(0, progress))
        step(learner, learner, {"": batch_of(learner, range(6))}, ALONE, seed=0)
        assert bool(learner.served.prototypes.directions.grad.abs().sum() > 0) == moves
        assert all(p.grad.abs().sum() > 0 for p in learner.encoders.networks.parameters())

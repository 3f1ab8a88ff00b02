"""Preference tasks: against slow float64 loops, prompts of their own, missing rows, the reference, passes and ranks."""

import math

import pytest
import torch

from kontrast.checks.processes import MAIN, same, trace
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks, on_ranks
from kontrast.data.view import Batch, View
from kontrast.encoders.causal_lm import CausalLM
from kontrast.encoders.tokens import Tokens
from kontrast.tasks.preference.bpr import BPR
from kontrast.tasks.preference.bradley_terry import BradleyTerry
from kontrast.tasks.preference.click import CLICK
from kontrast.tasks.preference.cpl import CPL
from kontrast.tasks.preference.dpo import DPO
from kontrast.tasks.preference.preference_task import answer_lengths
from kontrast.tasks.preference.simpo import SimPO
from kontrast.training.learner import Learner
from kontrast.training.step import rows_of, step
from tests.support.learners import learner_of

pytest.importorskip("transformers")

WORDS = 30
LANGUAGE = {"dpo": DPO, "simpo": SimPO, "cpl": CPL, "click": CLICK}


def dialogues(n: int, seed: int, *, prompt: bool = True) -> torch.Tensor:
    """Random prompts and answers of random lengths: (n, 13) ids."""
    g = torch.Generator().manual_seed(seed)
    rows = torch.full((n, 13), -1)
    for row in rows:
        before, after = (int(torch.randint(1, 7, (), generator=g)) for _ in range(2))
        row[: before + after] = torch.randint(0, WORDS, (before + after,), generator=g)
        if prompt:
            row[before + 1 : before + after + 1] = row[before : before + after].clone()
            row[before] = -2
    return rows


def batch(n: int = 6, fields=("chosen", "rejected"), **keys) -> Batch:
    ids = torch.arange(n)
    has = {f"has {field}": torch.ones(n, dtype=torch.bool) for field in fields}
    views = {f"{MAIN}/{field}": View(field, dialogues(n, k)) for k, field in enumerate(fields)}
    return Batch(views, {"id": ids + 70, "sample": ids, **has, **keys})


def causal(width: int = 16) -> CausalLM:
    torch.manual_seed(0)
    return CausalLM(vocabulary=WORDS, width=width, heads=2, layers=1)


def language(name: str, fields=("chosen", "rejected"), **settings) -> Learner:
    """A learner whose encoder has moved from its start, so that the reference differs."""
    facts = {"samples": 40} if name == "dpo" else {}
    learner = learner_of(LANGUAGE[name], {"text": causal()}, dict.fromkeys(fields, "text"), **facts, **settings)
    torch.manual_seed(1)
    with torch.no_grad():
        [p.add_(0.1 * torch.randn_like(p)) for p in learner.encoders.networks.parameters()]
    return learner


def slow(encoder: CausalLM, row: list[int]) -> tuple[float, int]:
    """Log-probability of a row's answer in float64, a token at a time, and its number of tokens."""
    gap = row.index(-2)
    ids = [WORDS, *row[:gap], *(t for t in row[gap + 1 :] if t >= 0), WORDS]
    total = 0.0
    for at in range(gap + 1, len(ids)):
        last = encoder.model(input_ids=torch.tensor([ids[:at]])).last_hidden_state[0, -1].double()
        total += (last @ encoder.model.get_input_embeddings().weight.double().T).log_softmax(0)[ids[at]].item()
    return total, len(ids) - 1 - gap


def softplus(x: float) -> float:
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


FORMULAS = {
    "dpo": lambda c, n, c0, r, m, r0: softplus(-0.1 * ((c - c0) - (r - r0))),
    "simpo": lambda c, n, c0, r, m, r0: softplus(-(2 * c / n - 2 * r / m - 1)),
    "cpl": lambda c, n, c0, r, m, r0: softplus(0.5 * 0.1 * r - 0.1 * c),
    "click": lambda c, n, c0, r, m, r0: 0.5 * max(0.0, 20 - c + r),
}
REWARDS = {
    "dpo": lambda s, n, r: s - r,
    "simpo": lambda s, n, r: s / n,
    "cpl": lambda s, n, r: s,
    "click": lambda s, n, r: s,
}


@pytest.mark.parametrize("name", LANGUAGE)
def test_the_loss_is_the_published_formula_in_a_slow_loop(name):
    learner, rows = language(name, likelihood=0.3), batch()
    outcome = step(learner, learner, {"": rows}, Ranks(), seed=0)
    learner.eval()
    scored = [
        [slow(learner.encoders.networks["text"], row) + slow(learner.encoders.reference["text"], row)[:1] for row in x]
        if name == "dpo"
        else [(*slow(learner.encoders.networks["text"], row), 0.0) for row in x]
        for x in (view.data.tolist() for view in rows.views.values())
    ]
    each = [FORMULAS[name](*one, *two) for one, two in zip(*scored, strict=True)]
    likelihood = -sum(s for s, _, _ in scored[0]) / sum(n for _, n, _ in scored[0])
    assert outcome.loss == pytest.approx(sum(each) / 6 + 0.3 * likelihood, rel=1e-5)
    reward = REWARDS[name]
    margins = learner.served.margins(rows_of(learner, {"": rows})[MAIN])
    expected = [reward(*one) - reward(*two) for one, two in zip(*scored, strict=True)]
    torch.testing.assert_close(margins.tolist(), expected, rtol=1e-4, atol=1e-4)
    assert learner.served.embed("chosen", learner.encoders("chosen", rows.views["contrast/chosen"].data)).shape == (
        6,
        16,
    )


def test_a_prompt_of_its_own_is_the_beginning_of_the_transcript():
    fields = ("chosen", "rejected", "prompt")
    apart, whole = language("simpo", fields), language("simpo")
    answers, prompt = (dialogues(6, k, prompt=False) for k in (3, 4))
    has = torch.tensor([True] * 5 + [False])
    together = torch.full((6, 30), -1)
    for row, before, after, there in zip(together, prompt, answers, has, strict=True):
        ids = [*(before[before >= 0].tolist() if there else []), -2, *after[after >= 0].tolist()]
        row[: len(ids)] = torch.tensor(ids)
    keys = {**batch(6, fields).keys, "has prompt": has}
    views = {"chosen": answers, "rejected": dialogues(6, 5, prompt=False), "prompt": prompt}
    one = step(apart, apart, {"": Batch({f"{MAIN}/{f}": View(f, x) for f, x in views.items()}, keys)}, Ranks(), seed=0)
    two = step(whole, whole, {"": Batch({f"{MAIN}/chosen": View("chosen", together), f"{MAIN}/rejected":
               View("rejected", together)}, keys)}, Ranks(), seed=0)  # fmt: skip
    torch.testing.assert_close(one.rows[MAIN]["chosen"].z, two.rows[MAIN]["chosen"].z)
    assert torch.equal(one.rows[MAIN]["chosen"].keys["length"], two.rows[MAIN]["chosen"].keys["length"])


@pytest.mark.parametrize("name", [*LANGUAGE, "bradley_terry"])
def test_rows_that_lack_an_answer_count_for_nothing(name):
    made = language(name) if name in LANGUAGE else learner_of(
        BradleyTerry, {"text": causal()}, dict.fromkeys(("chosen", "rejected"), "text")
    )  # fmt: skip
    here = torch.tensor([True, False, True, True, True, True])
    rows = batch()
    lacking = Batch(rows.views, {**rows.keys, "has rejected": here})
    only = Batch(
        {n: View(v.field, v.data[here]) for n, v in rows.views.items()}, {n: k[here] for n, k in rows.keys.items()}
    )
    found = step(made, made, {"": lacking}, Ranks(), seed=0)
    assert found.loss == pytest.approx(step(made, made, {"": only}, Ranks(), seed=0).loss, rel=1e-5)
    margins = made.served.margins(found.rows[MAIN])
    assert torch.equal(margins.isnan(), ~here)


@pytest.mark.parametrize("name", LANGUAGE)
def test_several_passes_are_one(name):
    found = []
    for passes in (None, 4):
        learner = language(name)
        outcome = step(learner, learner, {"": batch(11)}, Ranks(), seed=0, passes=passes)
        slopes = torch.cat([p.grad.flatten() for p in learner.parameters() if p.grad is not None])
        found.append((outcome.loss, slopes))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-3, atol=1e-6)


def test_the_reference_scores_each_training_row_once_and_stays_as_it_was():
    learner, rows = language("dpo"), batch(8)
    seen = []
    learner.encoders.reference["text"].register_forward_hook(lambda _, inputs, out: seen.append(len(inputs[0])))
    start = {name: p.clone() for name, p in learner.encoders.reference.state_dict().items()}
    moving = torch.optim.SGD([p for p in learner.parameters() if p.requires_grad], lr=0.1)
    found = []
    for part in (rows[:5], rows[:5], rows):
        outcome = step(learner, learner, {"": part}, Ranks(), seed=0)
        moving.step()
        learner.after_update(outcome.rows, Ranks())
        found.append(outcome.rows[MAIN]["chosen reference"].z[:5])
    assert seen == [5, 5, 8, 8]  # both answers of the first step, none in the second
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
    torch.testing.assert_close(found[0], found[2])
    assert all(torch.equal(p, start[name]) for name, p in learner.encoders.reference.state_dict().items())
    held = Batch(rows.views, {**rows.keys, "sample": torch.full((8,), -1)})
    assert len(rows_of(learner, {"": held})[MAIN]["chosen reference"]) == 8
    assert seen[4:] == [8, 8]  # held-out rows are never kept
    assert {"tasks.contrast.kept", "tasks.contrast.known"} <= set(learner.state_dict())
    assert learner.served.known.sum() == 8


def test_before_the_first_update_nothing_is_preferred_by_dpo():
    learner = learner_of(DPO, {"text": causal()}, dict.fromkeys(("chosen", "rejected"), "text"), samples=9)
    margins = learner.served.margins(rows_of(learner, {"": batch()})[MAIN])
    assert (margins == 0).all()


def bayes(similarity, **settings):
    torch.manual_seed(2)
    networks = {"user": Tokens(vocabulary=WORDS, width=8, buckets=9, dropout=0), "text": causal()}
    of = {"anchor": "user", "chosen": "text", "rejected": "text"}
    return learner_of(BPR, networks, of, similarity=similarity, **settings)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_bpr_is_its_formula_in_one_space_of_two_encoders(similarity):
    learner = bayes(similarity, temperature=0.5, margin=0.2, width=5)
    rows = batch(6, ("anchor", "chosen", "rejected"))
    found = step(learner, learner, {"": rows}, Ranks(), seed=0)
    learner.eval()
    z = {f: learner.embed(f, v.data).double().detach() for v in rows.views.values() for f in [v.field]}
    assert {x.shape for x in z.values()} == {(6, 5)}
    if similarity == "cosine":
        z = {f: x / x.norm(dim=1, keepdim=True) for f, x in z.items()}
    leads = [float(z["anchor"][k] @ (z["chosen"][k] - z["rejected"][k])) / 0.5 for k in range(6)]
    assert found.loss == pytest.approx(sum(softplus(0.2 - lead) for lead in leads) / 6, rel=1e-5)
    torch.testing.assert_close(learner.served.margins(found.rows[MAIN]).tolist(), leads, rtol=1e-4, atol=1e-5)
    ((one, two),) = learner.positive_pairs(found.rows)
    assert torch.equal(one.keys["id"], two.keys["id"])


def test_rewards_follow_a_score_of_each_row_if_asked():
    of = dict.fromkeys(("chosen", "rejected"), "text")
    learner = learner_of(BradleyTerry, {"text": causal()}, of, margin=0.1, scored=2.0)
    assert learner.served.needs == {"score"}
    score = torch.tensor([0.0, 1.0, 0.5, torch.nan, 0.0, 3.0], dtype=torch.float64)
    rows = batch(score=score)
    found = step(learner, learner, {"": rows}, Ranks(), seed=0)
    learner.eval()
    chosen, rejected = (
        learner.served.reward(v.field, learner.embed(v.field, v.data)).tolist() for v in rows.views.values()
    )
    each = [softplus(r - c + 0.1 + 2 * s) for c, r, s in zip(chosen, rejected, score.tolist(), strict=True) if s == s]
    assert found.loss == pytest.approx(sum(each) / 5, rel=1e-5)
    assert "tasks.contrast.heads.text.weight" in learner.serving_names()  # a reward model is nothing without its head


def test_answers_are_counted_after_the_last_mark():
    x = torch.tensor([[1, 2, -2, 3, 4, 5], [1, 2, 3, -1, -1, -1], [-2, 1, -1, -1, -1, -1], [1, -2, 2, -2, 3, -1]])
    assert answer_lengths(x).tolist() == [3, 3, 1, 1]


def test_what_does_not_fit_is_refused_in_words():
    of = dict.fromkeys(("chosen", "rejected"), "text")
    with pytest.raises(UserError, match=r"no field 'chosne'; did you mean 'chosen'.*setting 'chosen'"):
        learner_of(SimPO, {"text": causal()}, of, chosen="chosne")
    with pytest.raises(UserError, match="both chosen and rejected"):
        learner_of(SimPO, {"text": causal()}, of, rejected="chosen")
    with pytest.raises(UserError, match="expected causal_lm"):
        learner_of(CPL, {"text": Tokens(vocabulary=WORDS, width=8)}, of)
    with pytest.raises(UserError, match="negative"):
        learner_of(CLICK, {"text": causal()}, of, likelihood=-1.0)
    with pytest.raises(UserError, match="temperature=0; expected more than 0"):
        bayes("cosine", temperature=0.0)
    with pytest.raises(UserError, match="no field 'anchor'"):
        learner_of(BPR, {"text": causal()}, of)


def followed(ranks: Ranks, name: str):
    """Three steps, the third over rows whose reference is known on some rank."""
    torch.set_default_dtype(torch.float64)
    try:
        learner = language(name).double()
        rows = batch(11)
        return trace(ranks, learner, [rows, rows[2:7], rows[:2]]), learner.state_dict().get("tasks.contrast.kept")
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.dist
@pytest.mark.parametrize("name", ["dpo", "simpo"])
def test_two_ranks_are_one(name):
    one, kept = followed(Ranks(alone=True), name)
    many = on_ranks(followed, 2, name)
    same(one, [trace for trace, _ in many], relative=1e-5, absolute=1e-6)
    if kept is not None:
        assert all(torch.allclose(kept, other) for _, other in many)

"""A gold score between two texts is recognised, trained on by its order, and judged by Spearman's correlation."""

import json

import numpy as np
import pytest
import torch

import kontrast as kt
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.data.schema.fields import infer
from kontrast.data.sources.python_values import frame_of
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features
from kontrast.evaluation.spearman import Spearman, correlation
from kontrast.losses.pairwise.cosent import CoSENT
from kontrast.tasks.supervised.scored import Scored
from tests.support.learners import batches_of, learner_of, outputs

pytestmark = pytest.mark.slow

# Of each trade the words that a first sentence uses, and those that a second one does.
TRADES = (
    [["bread", "oven", "flour", "dough"], ["engine", "wheel", "brake", "road"], ["violin", "bow", "chord", "song"]],
    [["brot", "ofen", "mehl", "teig"], ["motor", "rad", "bremse", "gasse"], ["geige", "bogen", "akkord", "lied"]],
)


def sts(n=400, gaps=False):
    """Pairs of sentences; a trade of their own each, the score says whether it is the same."""
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 3, (2, n))
    said = [
        [f"{' '.join(rng.choice(words[t], 4))} {i}" for i, t in enumerate(trade)]
        for words, trade in zip(TRADES, (one, two), strict=True)
    ]
    score = np.where(one == two, 4.5, 1.5)
    values = [None if gaps and i % 7 == 0 else float(v) for i, v in enumerate(score)]
    return {"sentence1": said[0], "sentence2": said[1], "score": values}


def kinds(**columns):
    return {name: field.kind for name, field in infer(frame_of(columns, "t"), {}, None).items()}


def test_two_texts_and_a_number_are_scored_pairs_and_prices_are_not():
    data = sts()
    one, two, score = data.values()
    assert kinds(sentence1=one, sentence2=two, score=score)["score"] == "score"
    assert kinds(s1=one, s2=two, label=score)["label"] == "score"  # as glue names it; its values are no classes
    assert kinds(text_a=one, text_b=two, how=score)["how"] == "score"
    assert kinds(title=one, body=two, price=score)["price"] == "meta"
    assert kinds(sentence1=one, score=score)["score"] == "meta"
    assert kinds(s1=one, s2=two, s3=one[::-1], score=score)["score"] == "meta"
    assert kinds(s1=one, s2=two, label=[0, 1] * (len(one) // 2))["label"] == "label"


def test_spearman_is_that_of_scipy_with_ties():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    for values in (rng.normal(size=(2, 50)), rng.integers(0, 5, (2, 50)).astype(float)):
        assert correlation(*values) == pytest.approx(spearmanr(*values).statistic)
    assert correlation(np.ones(5), np.arange(5.0)) == 0


def test_spearman_judges_pairs_with_a_score_and_both_fields_alone():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 20, 8)).astype(np.float32)
    z /= np.linalg.norm(z, axis=2, keepdims=True)
    golds = (z[0] * z[1]).sum(1).astype(float)
    golds[0], z[1, 1] = np.nan, np.nan
    golds[1] = -9
    bank = EmbeddingTable({"a": z[0], "b": z[1]}, np.arange(20).astype(str), shared=True, golds=golds)
    found = Spearman()(bank, bank)["Spearman"]
    assert found.value == pytest.approx(1)
    assert found.rows == 18
    assert Spearman().why_not(bank, EmbeddingTable(bank.z, bank.ids)) == "no gold scores"


def test_a_bank_keeps_its_gold_scores(tmp_path):
    bank = EmbeddingTable({"a": np.eye(3, dtype=np.float32)}, np.arange(3).astype(str), golds=np.array([1, np.nan, 2]))
    bank.take(np.array([2, 1])).save(tmp_path / "b.parquet")
    np.testing.assert_array_equal(EmbeddingTable.load(tmp_path / "b.parquet").golds, [2, np.nan])


class Plain(Encoder):
    """Passes its input on."""

    width = 4

    def forward(self, x):
        return Features(x)


def test_the_loss_is_that_of_the_scored_rows_and_the_pairs_are_those_alike():
    learner = learner_of(Scored, {"text": Plain()}, {"a": "text", "b": "text"})
    method = learner.served
    assert not list(method.parameters())
    torch.manual_seed(0)
    x, y = torch.randn(2, 6, 4)
    keys = {"id": torch.arange(6), "view": torch.zeros(6), "score": torch.tensor([1, 2, torch.nan, 3, 5, 4.0])}
    keys |= {"has a": torch.arange(6) != 1, "has b": torch.ones(6, dtype=torch.bool)}
    views = outputs(learner, batches_of(learner, {"a": x, "b": y}, keys))
    rows = {name: Embeddings(z, keys) for name, z in views.items()}
    kept = torch.tensor([0, 3, 4, 5])
    (term,) = method.compute_loss(rows, Ranks()).values()
    torch.testing.assert_close(term.value(), CoSENT()(Embeddings(x, keys)[kept], Embeddings(y, keys)[kept]).value())
    ((one, two),) = method.positive_pairs(rows)
    assert one.keys["id"].tolist() == two.keys["id"].tolist() == [3, 4, 5]
    unknown = {name: Embeddings(z, {**keys, "score": torch.full((6,), torch.nan)}) for name, z in views.items()}
    assert method.positive_pairs(unknown) == []


def test_a_run_on_scored_pairs_learns_their_order_and_chooses_so_by_itself(tmp_path):
    run = kt.train(sts(gaps=True), steps=60, batch=64, out=tmp_path / "run", settings={"plan.learning_rate": 0.003})
    told = json.loads((run.path / "experiment.json").read_text())
    assert told["tasks"]["contrast"]["name"] == "scored"
    assert told["source"]["fields"]["score"] == "score"
    row = next(row for row in run.scores if row["name"] == "Spearman")
    # two values of the score: perfect knowledge of the trades gives .82
    assert row["trained"]["value"] > max(0.5, row["untrained"]["value"] + 0.2)
    assert row["paired"]["untrained"]["low"] > 0
    assert "Spearman" in run.verdict["words"]
    assert run.verdict["state"] == "learning"


def test_angle_is_a_recipe_of_the_same_method_and_scores_are_needed(tmp_path):
    run = kt.train(sts(80), recipe="angle", steps=3, batch=32, out=tmp_path / "run")
    method = json.loads((run.path / "experiment.json").read_text())["tasks"]["contrast"]
    assert (method["name"], method["loss"]["name"], method["cosine"]) == ("scored", "angle", 1.0)
    texts = {name: column for name, column in sts(80).items() if name != "score"}
    with pytest.raises(UserError, match="score"):
        kt.train(texts, recipe="cosent", steps=1, out=tmp_path / "b")

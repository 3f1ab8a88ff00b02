"""Held-out preferences of a run: scored without augmentation, beside the rule that the shorter wins."""

import json
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import kontrast as kt
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import Interrupted
from kontrast.evaluation.preference import RULE
from kontrast.reporting.logger import NullLogger
from kontrast.runs.folder.folder import Folder
from kontrast.runs.model import Model

pytest.importorskip("transformers")

POLITE = ["thank you very much for asking me", "of course I can help you with that today", "with pleasure my friend"]
RUDE = ["go away now", "shut up please you fool", "never ask me this again or else you will see what comes"]


def table(n: int = 60) -> dict[str, list[str]]:
    """Polite answers are chosen; each fourth row is held out, and one of those lacks its rejected answer."""
    ask = [f"Human: question {k % 7} of {k}\n\nAssistant:" for k in range(n)]
    rejected = [f"{ask[k]} {RUDE[k % 3]}" for k in range(n)]
    rejected[4] = ""
    return {
        "id": [f"r{k:02d}" for k in range(n)],
        "chosen": [f"{ask[k]} {POLITE[k % 3]}" for k in range(n)],
        "rejected": rejected,
        "split": ["test" if k % 4 == 0 else "train" for k in range(n)],
    }


SMALL = {"encoders.text": {"name": "causal_lm", "width": 16, "heads": 2, "layers": 1}, "plan.deterministic": "off"}


def learned(folder, recipe: str, steps: int, logger=None, **settings):
    how = {"settings": {**SMALL, **settings}, "logger": logger or NullLogger()}
    return kt.train(table(), recipe=recipe, out=folder, steps=steps, batch=20, **how)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return learned(tmp_path_factory.mktemp("run") / "dpo", "dpo", 12, **{"plan.learning_rate": 0.01})


def test_the_table_of_scores_sets_the_share_beside_the_rule(run):
    scores = json.loads((run.path / "scores.json").read_text())["scores"]
    (row,) = [row for row in scores if row["name"] == "chosen wins"]
    assert row["rows"] == 14
    assert row["untrained"]["value"] == 0.5  # by gain over the start, nothing is preferred before training
    assert row["trained"]["value"] > 0.9
    assert row["raw_name"] == RULE
    assert row["paired"]["raw"]["value"] == pytest.approx(row["trained"]["value"] - row["raw"]["value"])


def test_margins_lie_beside_the_embeddings_of_held_out_rows(run):
    found = {
        which: EmbeddingTable.load(run.path / "embeddings" / f"{which}-test.parquet") for which in ("trained", "raw")
    }
    lone = found["trained"].ids == "r04"
    for which, bank in found.items():
        assert np.array_equal(np.isnan(bank.margins), lone), which
    rule = dict(zip(found["raw"].ids.tolist(), found["raw"].margins.tolist(), strict=True))
    coder = Model.load(Folder(run.path)).modalities["chosen"]
    for k in (0, 8, 12):
        sizes = [len(coder.pack(coder.read(text, None))) for text in (RUDE[k % 3], POLITE[k % 3])]
        assert rule[f"r{k:02d}"] == sizes[0] - sizes[1]
    assert EmbeddingTable.load(run.path / "embeddings" / "trained-train.parquet").margins is None


def test_other_rows_are_evaluated_by_gain_over_the_same_start(run):
    rows = {name: [cell for k, cell in enumerate(column) if k % 4 == 0] for name, column in table().items()}
    (again,) = [row for row in kt.load(run.path).evaluate(rows) if row["name"] == "chosen wins"]
    (row,) = [row for row in run.scores if row["name"] == "chosen wins"]
    for which in ("trained", "untrained", "raw"):
        assert again[which]["value"] == row[which]["value"]
    alone = kt.load(run.path).evaluate({"chosen": rows["chosen"]})
    assert not [row for row in alone if row["name"] == "chosen wins" and row["trained"]]


class Interrupting(NullLogger):
    """Interrupts the run in its third step."""

    def moment(self, moment):
        if moment.step == 3:
            signal.raise_signal(signal.SIGINT)


def test_a_resumed_run_equals_an_uninterrupted_one_reference_scores_included(tmp_path):
    whole = learned(tmp_path / "whole", "dpo", 6)
    with pytest.raises(Interrupted):
        learned(tmp_path / "cut", "dpo", 6, logger=Interrupting())
    cut = kt.resume(tmp_path / "cut", data=table())
    one, two = (load_file(r.path / "encoder" / "model.safetensors") for r in (whole, cut))
    assert all(torch.equal(one[name], two[name]) for name in one)
    margins = [EmbeddingTable.load(r.path / "embeddings" / "trained-test.parquet").margins for r in (whole, cut)]
    assert np.array_equal(*margins, equal_nan=True)

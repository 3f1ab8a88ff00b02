"""Folders of finished runs, as training leaves them, written without training."""

import json

import numpy as np

from kontrast.core.choice import Choice
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.experiment import Experiment
from kontrast.runs.folder.folder import Folder

N = 120


def table_of(noise, seed, part):
    """Rows of four classes, whose hardness is the same for every arm and seed."""
    rng = np.random.default_rng(7 if part == "test" else 8)
    label = rng.integers(0, 4, N)
    hard = rng.normal(size=(N, 8))
    z = np.eye(8)[label] + noise * (hard + 0.3 * np.random.default_rng(seed).normal(size=(N, 8)))
    z = (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)
    return EmbeddingTable({"x": z}, np.array([f"{part}{i}" for i in range(N)]), label.astype(str))


def written_run(path, noise, seed, state="learning", causes=(), labels=True):
    """A finished run folder, as training leaves it."""
    path.mkdir(parents=True)
    folder = Folder(path)
    scores = (Choice("knn"), Choice("geometry"))
    folder.write("experiment.json", Experiment(seed=seed, scores=scores).to_json())
    folder.write("metrics.jsonl", json.dumps({"step": 8, "loss": 1.0}) + "\n")
    kinds = {"x": {"kind": "series", "why": "numbers"}}
    facts = {"name": "waves", "rows": 240, "fields": kinds, "recipe": {"name": "simclr", "why": "as asked"}}
    facts |= {"missing": {}, "quarantined": [], "fingerprint": {"ids": 1}}
    folder.write_json("data.json", facts)
    folder.write_json("samples.json", {"thumbnails": {"x": [None] * N}, "views": []})
    for part in ("train", "test"):
        table = table_of(noise, seed, part)
        table = table if labels else EmbeddingTable(table.z, table.ids)
        table.save(folder.embeddings / f"trained-{part}.parquet")
    measure = {"name": "AUC of positive against random pairs", "trained": 0.9 - noise / 10 + seed / 100}
    told = {"state": state, "words": f"{state}: words.", "causes": list(causes), "measures": [measure]}
    folder.write_json("scores.json", {"verdict": told, "scores": [], "steps": 8, "seconds": 2.0})

"""Stories that a report page tells: scores, embeddings in clusters, and pairs of two fields."""

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.reporting.report import Story

PIXEL = (
    "<img alt='' src='data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='>"
)


def unit(z):
    return (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)


def value(at, reach=0.05):
    return {"value": at, "low": at - reach, "high": at + reach}


def score(trained, raw=None, untrained=None, name="kNN accuracy", **more):
    return {
        "name": name,
        "field": None,
        "trained": value(trained),
        "raw": None if raw is None else value(raw),
        "untrained": None if untrained is None else value(untrained),
        "rows": 307,
        "chance": 0.1,
        "higher_is_better": True,
        **more,
    }


def clusters(n=40, seed=0, **more):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    z = unit(4 * np.eye(8)[label] + rng.normal(size=(n, 8)))
    return EmbeddingTable(
        {"image": z}, np.array([f"row {i}" for i in range(n)]), np.array(["a", "b", "c"])[label], **more
    )


def pairs(n=30):
    rng = np.random.default_rng(1)
    z = rng.normal(size=(n, 8))
    text = unit(z + 0.1 * rng.normal(size=(n, 8)))
    text[::7] = np.nan
    ids = np.array([f"row {i}" for i in range(n)])
    return EmbeddingTable({"photo": unit(z), "words": text}, ids, np.array(list("abc") * (n // 3)), shared=True)


def story(bank=None, **more):
    bank = clusters() if bank is None else bank
    health = {"effective_rank": 7.0, "spread": 0.9, "alignment": 0.3, "uniformity": -3.0}
    given = {
        "command": "kontrast train clothes/ --seed 0",
        "experiment": {"method": {"name": "simclr"}, "seed": 0},
        "environment": {"python": "3.11", "versions": {"torch": "2"}},
        "data": {"rows": 60, "labels": {"a": 30, "b": 20, "c": 10}},
        "moments": [
            {"step": s, "loss": 5 / s, "rate": 800.0, "wait": 0.01, "seconds": 0.2 * s, "health": health}
            for s in range(1, 30)
        ],
        "verdict": {"state": "learning", "words": "It learned: on 307 held-out rows, kNN accuracy .742", "causes": ()},
        "scores": [score(0.742, 0.403, 0.512)],
        "bank": bank,
        "thumbnails": {name: [PIXEL] * len(bank) for name in bank.z},
    }
    return Story(**({"title": "clothes-1"} | given | more))


def crossed():
    fields = ("photo", "words")
    rows = [
        score(0.5, untrained=0.1, name=f"{a}>{b} {k}", field=f"{a}>{b}", score="retrieval")
        for a in fields
        for b in fields
        if a != b
        for k in ("R@1", "R@10", "MRR")
    ]
    rows += [score(0.4, 0.4, 0.2, name="alignment", field="photo>words", score="geometry", higher_is_better=False)]
    rows += [score(0.7, 0.4, 0.5, name=f"score {n}") for n in range(7)]
    return [
        *rows,
        score(0.7, 0.4, 0.5, name="photo kNN", field="photo"),
        score(70.0, 20.0, 5.0, name="rank", chance=None),
    ]

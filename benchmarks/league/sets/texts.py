"""Short texts with a class: FOLDER/text/... as JSON lines with `text` and `label`."""

import json
from pathlib import Path

import numpy as np

from benchmarks.league.task import Task, split, take

FILES = {
    "mr": ("cls/mr.jsonl",),
    "subj": ("cls/subj.jsonl",),
    "trec": ("cls/trec_train.jsonl", "cls/trec_test.jsonl"),
    "banking77": ("intent/banking77_train.jsonl", "intent/banking77_test.jsonl"),
    "agnews": ("cluster/agnews8000.jsonl",),
    "snippets": ("cluster/search_snippets.jsonl",),
}


def names(data: Path) -> list[str]:
    """Those that are there."""
    return [name for name, files in FILES.items() if all((data / "text" / f).is_file() for f in files)]


def load(data: Path, name: str) -> Task:
    """With the set's own split, or three tenths drawn as the test."""
    parts = [_read(data / "text" / file) for file in FILES[name]]
    if len(parts) == 1:
        texts, labels = parts[0]
        train, test = split(texts)
        parts = [(take(texts, i), labels[i]) for i in (train, test)]
    (texts, y), (asked, answers) = parts
    return Task(name, {"text": "text"}, {"text": texts}, {"text": asked}, y, answers)


def _read(file: Path) -> tuple[list[str], np.ndarray]:
    rows = [json.loads(line) for line in file.read_text(encoding="utf8").splitlines()]
    return [row["text"] for row in rows], np.array([str(row["label"]) for row in rows])

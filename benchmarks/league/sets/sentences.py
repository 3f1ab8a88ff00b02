"""Sentences that say the same: SNLI's entailed pairs, and German sentences with their English translation."""

import json
from pathlib import Path

from benchmarks.league.task import Task, split, take

NLI = ("nli/snli_dev_triples.jsonl", "nli/snli_test_triples.jsonl")
TATOEBA, LANGUAGE = "tatoeba/tatoeba_v1.jsonl", "deu"


def names(data: Path) -> list[str]:
    """Those that are there."""
    there = {"snli": NLI, "tatoeba": (TATOEBA,)}
    return [name for name, files in there.items() if all((data / "text" / f).is_file() for f in files)]


def load(data: Path, name: str) -> Task:
    """SNLI: the development pairs teach, the test pairs are asked. Tatoeba: three tenths are asked."""
    if name == "snli":
        parts = [_pairs(data / "text" / f, "anchor", "positive") for f in NLI]
        return Task(name, {"anchor": "text", "positive": "text"}, *parts)
    whole = _pairs(data / "text" / TATOEBA, "src", "eng", LANGUAGE)
    train, test = split(whole["src"])
    parts = [{field: take(cells, index) for field, cells in whole.items()} for index in (train, test)]
    return Task(name, {"src": "text", "eng": "text"}, *parts, note="German and English")


def _pairs(file: Path, one: str, two: str, language: str | None = None) -> dict[str, list[str]]:
    """Pairs of which neither half comes twice, so that each has one partner."""
    seen: set[str] = set()
    kept: dict[str, list[str]] = {one: [], two: []}
    for line in file.read_text(encoding="utf8").splitlines():
        row = json.loads(line)
        if (language is None or row["lang"] == language) and not {row[one], row[two]} & seen:
            seen |= {row[one], row[two]}
            kept[one].append(row[one])
            kept[two].append(row[two])
    return kept

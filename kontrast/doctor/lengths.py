"""Lengths of texts and series, and the share that is truncated."""

import numpy as np

from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding

_MANY = 0.1
_LOOKED_AT = 5_000
_TAIL = 20


class Lengths(Examination):
    """Reports lengths against the encoder's limit, beyond which texts are cut and series averaged down.

    It also finds single very long series, because a batch is padded to its longest.
    """

    place = 41

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a finding per text or series field: a fact, or a warning if much is lost."""
        found = []
        for name, modality in case.modalities.items():
            store = case.data.stores[name]
            rows = np.flatnonzero(store.has)
            rows = rows[:: max(1, -(-len(rows) // _LOOKED_AT))]
            if case.fields[name].kind == "text":
                found += _texts(case, name, modality.state(), rows)
            elif case.fields[name].kind == "series" and len(rows):
                found += _series(case, name, rows)
        return found


def _texts(case: Case, name: str, state: object, rows: np.ndarray) -> list[Finding]:
    assert isinstance(state, dict)
    limit = int(state["length"])
    whole = np.array([len(case.texts[name][row]) for row in rows])
    kept = case.data.stores[name].lengths(rows)
    cut = float((kept >= limit).mean()) if len(kept) else 0.0
    characters = _percentiles(whole)
    words = (
        f"{name}: {characters['median']:,} characters in the middle, {characters['p95']:,} at 95 %, "
        f"{characters['most']:,} at most; the encoder reads the first {limit} tokens"
    )
    numbers = {"field": name, "characters": characters, "limit": limit, "cut": cut, "looked at": len(rows)}
    if cut <= _MANY:
        return [Finding("lengths", "fact", f"{words}, which cuts {cut:.1%} of the texts.", numbers)]
    words = (
        f"{words}, which cuts {cut:.0%} of the texts. If what matters comes late, raise it, at about twice the time: "
        f"--set views.{name}.length={2 * limit}."
    )
    return [Finding("truncated", "warning", words, numbers, case.named(rows[kept >= limit]))]


def _series(case: Case, name: str, rows: np.ndarray) -> list[Finding]:
    kept = case.data.stores[name].lengths(rows)
    limit = int(case.modalities[name].facts()["length"])
    some = rows[:: max(1, len(rows) // 500)]
    whole = np.array([max(np.shape(cell)) for cell in case.frame.cells(name, case.kept[some])])
    cut = float((whole > limit).mean())
    steps = _percentiles(whole)
    numbers = {"field": name, "steps": steps, "limit": limit, "cut": cut, "looked at": len(some)}
    if cut > _MANY:
        words = (
            f"{name}: {steps['median']:,} steps at the median, {steps['most']:,} at most; {cut:.0%} are longer than "
            f"{limit} and averaged down to that, which blurs what is fast: --set views.{name}.length={2 * limit}."
        )
        return [Finding("truncated", "warning", words, numbers)]
    if kept.max() > _TAIL * np.median(kept):
        words = (
            f"{name}: the longest series has {kept.max() / np.median(kept):.0f} times the steps of the middle one, and "
            "a batch is padded to its longest. Cut long ones into pieces if they are slow."
        )
        return [Finding("long tail", "note", words, numbers, case.named(rows[np.argsort(-kept)]))]
    return [
        Finding(
            "lengths", "fact", f"{name}: {steps['median']:,} steps at the median, {steps['most']:,} at most", numbers
        )
    ]


def _percentiles(lengths: np.ndarray) -> dict[str, int]:
    if not len(lengths):
        return {"median": 0, "p95": 0, "p99": 0, "most": 0}
    middle, p95, p99 = np.percentile(lengths, [50, 95, 99]).round().astype(int).tolist()
    return {"median": middle, "p95": p95, "p99": p99, "most": int(lengths.max())}

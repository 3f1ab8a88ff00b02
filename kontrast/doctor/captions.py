"""Pairs that are not one to one, such as several captions per image."""

import numpy as np

from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding

_MANY = 0.2


class Captions(Examination):
    """Finds contents with several partners, where retrieval counts right answers as wrong.

    Training masks rows of equal content as negatives, but retrieval scores still expect the row's own partner.
    """

    place = 42

    def __call__(self, case: Case) -> list[Finding]:
        """Returns facts on lists of texts, and a finding on pairs not one to one."""
        described, numbers, shown, most = [], [], np.zeros(len(case.data), bool), 0.0
        for one, of_one in case.content.items():
            for other, of_other in case.content.items():
                contents, partners, rows = _several(of_one, of_other) if one != other else (0, 0, shown)
                if contents:
                    described.append(
                        (int(rows.sum()), f"{contents:,} {one} beside several {other} (up to {partners:,})")
                    )
                    numbers.append({"of": one, "several": other, "contents": contents, "rows": described[-1][0]})
                    shown, most = shown | rows, max(most, float(rows.mean()))
        found = [finding for name in case.texts if (finding := _inside(case, name))]
        if described:
            listed = "; ".join(words for _, words in sorted(described, reverse=True)[:3])
            words = (
                f"pairs are not one to one: {listed}. Training masks equal contents as negatives, but R@1 counts a "
                "row's own partner only: read R@10, or put all partners of a row into one cell as a list."
            )
            level = "warning" if most > _MANY else "note"
            found.append(Finding("one to many", level, words, {"pairs": numbers}, case.named(np.flatnonzero(shown))))
        return found


def _several(of_one: np.ndarray, of_other: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Number of contents with several partners, the most partners, and a mask of their rows."""
    there = (of_one >= 0) & (of_other >= 0)
    pairs = np.unique(np.stack([of_one[there], of_other[there]], 1), axis=0)
    codes, partners = np.unique(pairs[:, 0], return_counts=True)
    rows = there & np.isin(of_one, codes[partners > 1])
    return int((partners > 1).sum()), int(partners.max(initial=0)), rows


def _inside(case: Case, name: str) -> Finding | None:
    """Fact on cells that hold several texts; None if there are none."""
    texts = case.texts.get(name)
    counts = np.array([text.count("\n") + 1 for text in texts]) if texts and _listed(case, name) else np.ones(1)
    if counts.max() < 2:
        return None
    words = (
        f"{name}: {counts.mean():.1f} texts a row, up to {counts.max():,}; each look at a row draws one of them, the "
        "first one stands for the row in scores and search"
    )
    return Finding("texts", "fact", words, {"field": name, "mean": float(counts.mean()), "most": int(counts.max())})


def _listed(case: Case, name: str) -> bool:
    column = case.frame.columns[name]
    return not isinstance(column, np.ndarray) and "list" in str(column.type)

"""Rows, fields and sizes, and what each column is taken for."""

from typing import Any

import numpy as np

from kontrast.data.tables.record import read_by
from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding

_LOOKED_AT = 2_000  # rows sampled for the sizes of a field


class Fields(Examination):
    """Reports the number of rows, the kind of each column, and columns left out."""

    place = 10

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a fact on the data, and notes on repeated ids and on columns left out."""
        rows = f"{len(case.frame):,} rows"
        seen = [f"{name} ({case.fields[name].kind}, {_size(case, name)})" for name in case.modalities]
        read = read_by(case.experiment.views)
        free = {name: f.kind for name, f in case.fields.items() if name not in read}
        others = [f"{name} ({kind})" for name, kind in free.items() if kind in ("label", "id", "split", "meta")]
        numbers: dict[str, Any] = {
            "rows": len(case.frame),
            "usable": len(case.data),
            "fields": {name: {"kind": f.kind, "why": f.why} for name, f in case.fields.items()},
        }
        readable = [] if case.data.quarantined else ["all readable"]
        found = [Finding("data", "fact", " · ".join([rows, *seen, *others, *readable]), numbers)]
        ids = next((name for name, field in case.fields.items() if field.kind == "id"), None)
        repeated = len(case.kept) - len(set(map(str, case.frame.cells(ids, case.kept)))) if ids else 0
        if repeated:
            words = (
                f"{repeated:,} rows repeat an id of column '{ids}'; their ids become NAME#2, NAME#3. If an id is "
                "one thing in several rows, keep these rows on one side with a split column."
            )
            found.append(Finding("ids", "note", words, {"column": ids, "rows": repeated}))
        left = {name: f.why for name, f in case.fields.items() if f.kind == "ignore"}
        if left:
            why = "; ".join(f"{name} ({why})" for name, why in list(left.items())[:5])
            more = f" and {len(left) - 5} more" if len(left) > 5 else ""
            words = f"not learned from: {why}{more}. If one should be, say so: --field COLUMN=KIND."
            found.append(Finding("left out", "note", words, {"columns": left}))
        return found


def _size(case: Case, name: str) -> str:
    """Size of a field's cached content in words."""
    store = case.data.stores[name]
    there = np.flatnonzero(store.has)
    there = there[:: -(-len(there) // _LOOKED_AT)]
    lengths = store.lengths(there) if len(there) else np.zeros(1, np.int64)
    return case.modalities[name].dimensions(lengths)

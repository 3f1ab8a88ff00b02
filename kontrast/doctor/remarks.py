"""What each modality remarks on its own rows: lengths, truncation and the like."""

import numpy as np

from kontrast.data.remark import Rows
from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding

_LOOKED_AT = 2_000


class Remarks(Examination):
    """Asks each field's modality what a user should know of a sample of its rows."""

    place = 41

    def __call__(self, case: Case) -> list[Finding]:
        """Returns the modalities' remarks as findings."""
        found = []
        for name, modality in case.modalities.items():
            store = case.data.stores[name]
            rows = np.flatnonzero(store.has)
            rows = rows[:: max(1, -(-len(rows) // _LOOKED_AT))]
            cells = case.frame.cells(name, case.kept[rows])
            sample = Rows(name, case.frame.folder, cells, store.rows(rows), store.lengths(rows))
            for remark in modality.remarks(sample):
                ids = case.named(rows[np.asarray(remark.rows, np.int64)])
                found.append(Finding(remark.name, remark.level, remark.words, remark.numbers, ids))
        return found

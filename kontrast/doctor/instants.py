"""How a long table became series: sampling, gaps, repeated times, series of one instant."""

from kontrast.doctor.case import SHOWN, Case
from kontrast.doctor.examination import Examination, Finding


class Instants(Examination):
    """Reports what reading a long table found, which its gathered rows do not show any more."""

    place = 11

    def __call__(self, case: Case) -> list[Finding]:
        """Returns the remarks on the source as findings; empty if it is no long table."""
        name = case.experiment.source.series
        if name is None or name not in case.frame.columns:
            return []
        found = []
        for remark in case.frame.remarks:
            rows = [str(cell) for cell in case.frame.cells(name, list(remark.rows[:SHOWN]))]
            found.append(Finding(remark.name, remark.level, remark.words, remark.numbers, rows))
        return found

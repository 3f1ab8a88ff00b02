"""The recipe that would be chosen, and why."""

from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding
from kontrast.runs.model import describe


class Recipe(Examination):
    """What `kontrast train` would do with this data if nothing else were said."""

    place = 79

    def __call__(self, case: Case) -> list[Finding]:
        """One fact."""
        words = f"{case.recipe['name']} · {case.recipe['why']} · {describe(case.model.method)}"
        numbers = {**case.recipe, "views": {n: c.name for n, c in case.experiment.views.items()}}
        return [Finding("recipe", "fact", words, numbers)]

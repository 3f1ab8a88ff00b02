"""Recipe that training would choose for the data, with the reason."""

from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding
from kontrast.runs.build import describe


class Recipe(Examination):
    """Reports the recipe, method and views that `kontrast train` would use."""

    place = 79

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a fact on the recipe."""
        words = f"{case.recipe['name']} · {case.recipe['why']} · {describe(case.model.learner)}"
        numbers = {**case.recipe, "views": {n: c.name for n, c in case.experiment.views.items()}}
        return [Finding("recipe", "fact", words, numbers)]

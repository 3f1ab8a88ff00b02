"""The evaluators of a run, and those of a run that names none."""

from kontrast.core import factory, registry
from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.evaluation.evaluator import Evaluator


def usual_scores() -> tuple[Choice, ...]:
    """All evaluators that are computed unless a run names others."""
    names = registry.kinds("evaluators")
    return tuple(Choice(name) for name in names if registry.load("evaluators", name).usual)


def evaluators(experiment: Experiment) -> list[Evaluator]:
    """The evaluators of an experiment in display order; the usual ones if it names none."""
    named = experiment.scores or usual_scores()
    made: list[Evaluator] = [factory.build("evaluators", score.name, score.settings) for score in named]
    return sorted(made, key=lambda evaluate: evaluate.place)

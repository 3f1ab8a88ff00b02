"""The evaluators of a run that names none."""

from kontrast.core import registry
from kontrast.core.choice import Choice


def usual_scores() -> tuple[Choice, ...]:
    """All evaluators that are computed unless a run names others."""
    names = registry.kinds("evaluators")
    return tuple(Choice(name) for name in names if registry.load("evaluators", name).usual)

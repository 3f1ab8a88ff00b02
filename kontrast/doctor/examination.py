"""The contract of an examination, which inspects data and reports findings in words.

Each examination has its own file in this folder.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from kontrast.data.remark import Level
from kontrast.doctor.case import Case

LEVELS: tuple[Level, ...] = ("error", "warning", "note", "fact")  # most severe first


def gravest(levels: Iterable[Level]) -> Level:
    """Most severe of several levels, for a finding that covers several fields."""
    return min(levels, key=LEVELS.index)


@dataclass(frozen=True)
class Finding:
    """Result of an examination.

    Attributes:
        name: Short name of the problem or fact.
        level: "fact" describes the data; "note" is worth knowing; "warning" costs quality or inflates scores; "error"
            makes a run fail or its result meaningless.
        words: What was found, why it matters and what to do.
        numbers: The numbers behind it, as plain JSON values.
        rows: Ids of a few rows as evidence; pairs as "one ~ other".
    """

    name: str
    level: Level
    words: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[str] = ()


class Examination(ABC):
    """Inspects a single aspect of a case.

    Examinations are deterministic and bounded in time, and report how many rows they sample.
    """

    ROOM = "doctor"

    place: ClassVar[int] = 50
    """Rank among findings of the same level, smallest first."""

    @abstractmethod
    def __call__(self, case: Case) -> list[Finding]:
        """Returns the findings; an empty list if there is nothing to report."""

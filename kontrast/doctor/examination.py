"""The contract of an examination: a case is looked at, and what was found is said in words. One file each in this
folder."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from kontrast.doctor.case import Case

Level = Literal["fact", "note", "warning", "error"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note", "fact")  # the gravest first


def gravest(levels: Iterable[Level]) -> Level:
    """The one that counts, where one finding tells of several fields."""
    return min(levels, key=LEVELS.index)


@dataclass(frozen=True)
class Finding:
    """What an examination found.

    level: "fact" of the data; "note", worth knowing; "warning", which costs quality or makes scores too good; "error",
    with which a run fails or says nothing. words: what, why it matters, what to do. numbers: plain JSON values.
    rows: ids of a few rows as evidence, pairs as "one ~ other".
    """

    name: str
    level: Level
    words: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[str] = ()


class Examination(ABC):
    """Looks at one thing in a case. Deterministic; bounded in time, and what it samples it says."""

    ROOM = "doctor"

    place: ClassVar[int] = 50
    """Where it stands among others of the same level, the smallest first."""

    @abstractmethod
    def __call__(self, case: Case) -> list[Finding]:
        """What was found; [] where there is nothing to say."""

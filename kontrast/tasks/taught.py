"""Names of what a teacher gives a task as a key of each row."""

import json
from collections.abc import Mapping
from typing import Any, Literal

TeacherChoice = str | dict | None
"""A teacher: a run folder, `timm:NAME`, `transformers:NAME`, an object with its kind under `name`, or None."""
Gives = Literal["teacher", "teacher classes"]
"""What a task takes from its teacher: embeddings, or class probabilities. It is among the task's `uses`."""


def taught_key(field: str, teacher: TeacherChoice, gives: Gives = "teacher") -> str:
    """Key under which the rows of a field carry what a teacher gives.

    Args:
        field: The field that the teacher sees.
        teacher: The task's setting `teacher`; None for a column of the kind `teacher`.
        gives: What the teacher gives.
    """
    return gives if teacher is None else f"{gives} {field} {spelled(teacher)}"


def spelled(teacher: str | Mapping[str, Any]) -> str:
    """A teacher in one line."""
    return teacher if isinstance(teacher, str) else json.dumps(teacher, sort_keys=True)

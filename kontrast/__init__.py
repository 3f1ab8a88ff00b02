"""kontrast learns embeddings by contrast from heterogeneous data, and makes them useful.

    import kontrast as kt
    run = kt.train("pictures/")            # a folder, CSV, Parquet, arrays, a data frame, ...
    run.scores, run.embed("more/"), run.search(like="one.png")

Nothing heavy is imported until it is used.
"""

import importlib
from typing import TYPE_CHECKING

from kontrast.core.version import VERSION as __version__

if TYPE_CHECKING:
    from kontrast import layers, losses
    from kontrast.api import alone, load, replay, resume, train
    from kontrast.core.embedding_table import EmbeddingTable
    from kontrast.core.embeddings import Embeddings, LossTerm
    from kontrast.core.errors import UserError
    from kontrast.core.experiment import Choice, Experiment, Plan, Source
    from kontrast.core.task_choice import TaskChoice
    from kontrast.data.view import Batch, View, ViewSpec
    from kontrast.encoders.encoder_info import EncoderInfo
    from kontrast.losses.between_views import between_views
    from kontrast.losses.engine.contrast import contrast
    from kontrast.losses.memory_forecast import forecast
    from kontrast.runs.run import Run
    from kontrast.tasks.task import Output, Task

__all__ = [
    "Batch",
    "Choice",
    "EmbeddingTable",
    "Embeddings",
    "EncoderInfo",
    "Experiment",
    "LossTerm",
    "Output",
    "Plan",
    "Run",
    "Source",
    "Task",
    "TaskChoice",
    "UserError",
    "View",
    "ViewSpec",
    "__version__",
    "alone",
    "between_views",
    "contrast",
    "forecast",
    "layers",
    "load",
    "losses",
    "replay",
    "resume",
    "train",
]

_HOMES = {
    "Batch": "kontrast.data.view",
    "View": "kontrast.data.view",
    "ViewSpec": "kontrast.data.view",
    "EncoderInfo": "kontrast.encoders.encoder_info",
    "Output": "kontrast.tasks.task",
    "Task": "kontrast.tasks.task",
    "TaskChoice": "kontrast.core.task_choice",
    "between_views": "kontrast.losses.between_views",
    "EmbeddingTable": "kontrast.core.embedding_table",
    "Embeddings": "kontrast.core.embeddings",
    "LossTerm": "kontrast.core.embeddings",
    "Choice": "kontrast.core.experiment",
    "Experiment": "kontrast.core.experiment",
    "Plan": "kontrast.core.experiment",
    "Run": "kontrast.runs.run",
    "Source": "kontrast.core.experiment",
    "UserError": "kontrast.core.errors",
    "contrast": "kontrast.losses.engine.contrast",
    "forecast": "kontrast.losses.memory_forecast",
    "alone": "kontrast.api",
    "load": "kontrast.api",
    "replay": "kontrast.api",
    "resume": "kontrast.api",
    "train": "kontrast.api",
}

_OLD = {"Bank": "EmbeddingTable", "Rows": "Embeddings"}


def __getattr__(name: str) -> object:
    """Public names are imported from where they live at their first use."""
    if name in ("layers", "losses"):
        return importlib.import_module(f"kontrast.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _OLD:
        from kontrast.core import renamed

        renamed.notice(f"kt.{name}", f"kt.{_OLD[name]}")
        return __getattr__(_OLD[name])
    raise AttributeError(f"module 'kontrast' has no attribute '{name}'")


def __dir__() -> list[str]:
    """What is public."""
    return sorted(__all__)

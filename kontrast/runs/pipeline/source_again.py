"""The rows of a run, to be read again."""

from pathlib import Path

from kontrast.core.errors import UserError
from kontrast.core.experiment import Experiment
from kontrast.data.sources.open_source import opens


def source_again(path: str | Path, experiment: Experiment, data: object, verb: str) -> object:
    """The data to read again: `data` if given, else the source that the experiment names."""
    if data is not None:
        return data
    source = experiment.source.data
    if source == "memory":
        raise UserError(
            f"{path} was trained on data from memory; pass it again: kontrast.{verb}({str(path)!r}, data=...)."
        )
    if not opens(source):
        again = f"train DATA --resume {path}" if verb == "resume" else f"replay {path} --data DATA"
        raise UserError(
            f"{source}, which {path} was trained on, is not there any more, or not what it was (looked from "
            f"{Path.cwd()}). Restore it, or name its new place: kontrast {again}"
        )
    return source

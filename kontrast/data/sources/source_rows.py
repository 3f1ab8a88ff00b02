"""Rows as a run reads them: opened, missing words emptied, long tables gathered."""

from collections.abc import Mapping
from pathlib import Path

from kontrast.core.experiment import Source
from kontrast.data.schema.missing_values import emptied
from kontrast.data.sources.long_table import gathered
from kontrast.data.sources.open_source import open_frame
from kontrast.data.tables.frame import Frame


def source_rows(
    data: object, source: Source, *, cache: Path | None, chosen: Mapping[str, str] | None = None
) -> tuple[Frame, Source]:
    """Opens rows by the settings of a source.

    Args:
        data: As for `open_frame`.
        source: Words for missing values, and the columns of a long table.
        cache: Folder in which tables are kept memory-mapped; None holds them in memory.
        chosen: Column -> kind, as the user said. Default: those of the source.

    Returns:
        The rows, and the source with what a long table left open: its channels, sampling and step.

    Raises:
        UserError: data that cannot be opened, or settings that do not fit them.
    """
    frame = emptied(open_frame(data, cache=cache), source.missing)
    return gathered(frame, source, source.fields if chosen is None else chosen, cache)

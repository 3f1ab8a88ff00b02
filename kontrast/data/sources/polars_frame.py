"""A DataFrame or LazyFrame of polars; polars itself is not needed by kontrast."""

import sys
from pathlib import Path

from kontrast.core.atomic_files import atomic_cache
from kontrast.core.errors import UserError
from kontrast.data.sources.python_values import frame_of_table
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables import arrow_cache
from kontrast.data.tables.frame import Frame


class PolarsFrame(SourceReader):
    """A polars DataFrame, or a LazyFrame, which is computed once, in bounded memory where there is a cache."""

    order = 40
    reads = "a polars DataFrame"

    def claims(self, data: object) -> bool:
        """Claims polars frames; False as long as polars is not imported."""
        polars = sys.modules.get("polars")
        return polars is not None and isinstance(data, polars.DataFrame | polars.LazyFrame)

    def open(self, data: object, cache: Path | None) -> Frame:
        """Converts to Arrow columns, mostly without a copy; null is missing, NaN is a number."""
        import polars

        oldest = polars.CompatLevel.oldest()  # strings as Arrow wrote them before it had views of them
        assert isinstance(data, polars.DataFrame | polars.LazyFrame)
        try:
            if isinstance(data, polars.LazyFrame) and cache is not None:
                target = cache / "tables" / f"polars-{id(data)}.arrow"
                with atomic_cache(target) as part:
                    data.sink_ipc(part, compression="uncompressed", compat_level=oldest)
                return frame_of_table(arrow_cache.mapped(target), "LazyFrame", None)
            frame = data.collect() if isinstance(data, polars.LazyFrame) else data
        except polars.exceptions.PolarsError as error:
            raise UserError(f"the LazyFrame cannot be computed: {str(error).splitlines()[0]}.") from error
        return frame_of_table(frame.to_arrow(compat_level=oldest), type(data).__name__, None)

"""A pandas DataFrame in memory; pandas itself is not needed by kontrast."""

import sys
from pathlib import Path

import pyarrow as pa

from kontrast.data.sources.python_values import column
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import ANYWHERE, Column, Frame


class DataFrame(SourceReader):
    """A pandas DataFrame; its index is passed over."""

    order = 40
    reads = "a pandas DataFrame"

    def claims(self, data: object) -> bool:
        """Claims pandas frames; False as long as pandas is not imported."""
        pandas = sys.modules.get("pandas")
        return pandas is not None and isinstance(data, pandas.DataFrame)

    def open(self, data: object, cache: Path | None) -> Frame:
        """Converts to Arrow columns; NaN in columns of objects or strings becomes missing, as in pandas."""
        import pandas

        assert isinstance(data, pandas.DataFrame)
        columns: dict[str, Column] = {}
        for place, name in enumerate(data.columns):
            series = data.iloc[:, place]
            if series.dtype == object:
                values = [None if value is None or value is pandas.NA or _is_nan(value) else value for value in series]
                columns[str(name)] = column(values, f"DataFrame, column '{name}'")
            else:
                array = pa.Array.from_pandas(series)
                columns[str(name)] = column(array, f"DataFrame, column '{name}'")
        return Frame(columns, "DataFrame", Path.cwd(), ANYWHERE)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and value != value

"""Parquet files that hold vectors as fixed-size lists of float32."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kontrast.core.errors import UserError


def vector_column(z: np.ndarray) -> pa.Array:
    """(N, D) numbers as a column of N lists of D float32."""
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(z, np.float32).ravel()), z.shape[1])


def read_whole(path: Path) -> pa.Table:
    """The table in a Parquet file, every value checked.

    Raises:
        UserError: A damaged file, or one of another kind.
    """
    try:
        table = pq.ParquetFile(path).read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last: of the names of columns
        words = (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
        raise UserError(f"{path} is damaged or no Parquet file: {words}.") from error
    return table

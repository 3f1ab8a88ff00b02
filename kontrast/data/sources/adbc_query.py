"""A query through an ADBC driver, as Arrow batches."""

from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import pyarrow as pa

from kontrast.core.errors import UserError
from kontrast.data.tables import uri


def answered(
    driver: ModuleType, where: str, query: str, *, who: str, first: Sequence[str] = (), options: Mapping[str, str]
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Runs a query through an ADBC driver; nothing is ever committed.

    Args:
        driver: Module of the driver.
        where: Address of the database.
        query: One statement.
        who: Begins the messages.
        first: Statements that are run before the query.
        options: Of the driver's statement.

    Returns:
        Schema and rows. The rows must be read to their end, which closes the connection.

    Raises:
        UserError: the database refuses the connection or the query.
    """
    try:
        connection = driver.connect(where)
    except driver.Error as error:
        raise UserError(f"{who}: {one_line(error)}") from error
    batches = _batches(driver, connection, query, who, first, options)
    return next(batches), batches


def one_line(error: Exception) -> str:
    """What a database says, on one line."""
    return " ".join(str(error).split())


def _batches(
    driver: ModuleType, connection: Any, query: str, who: str, first: Sequence[str], options: Mapping[str, str]
) -> Iterator[Any]:
    """First the schema, then the batches."""
    with connection, connection.cursor() as cursor:
        try:
            for statement in first:
                cursor.execute(statement)
            cursor.adbc_statement.set_options(**options)
            cursor.execute(query)
            with cursor.fetch_record_batch() as reader:
                yield reader.schema
                yield from reader
        except (driver.Error, OSError) as error:
            words = one_line(error)
            cast = " Name the type that you mean: SELECT CAST(price AS REAL) AS price." if "mismatch" in words else ""
            raise UserError(f"{who}: {words}. The query: {uri.without_secrets(query)}.{cast}") from error

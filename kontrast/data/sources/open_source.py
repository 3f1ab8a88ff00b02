"""Opens whatever a user names: the first source that claims the data reads it."""

from pathlib import Path

from kontrast.core import factory, registry
from kontrast.core.errors import UserError
from kontrast.data.schema import unsupported
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables import uri
from kontrast.data.tables.frame import Frame


def open_frame(data: object, *, cache: Path | None) -> Frame:
    """Opens rows from a path, an address or a Python object.

    Args:
        data: A file, a folder, a stem of files, an address (`sqlite:shop.db#SELECT ...`), or an object in memory.
        cache: Folder in which tables are kept memory-mapped; None holds them in memory.

    Returns:
        At least one row.

    Raises:
        UserError: nothing is there, no source claims it, or it has no row.
    """
    if isinstance(data, Frame):
        return _filled(data)
    data = _meant(data)
    known = readers()
    for reader in known:
        if reader.claims(data):
            try:
                return _filled(reader.open(data, cache))
            except FileNotFoundError as error:
                raise UserError(
                    f"{error.filename or data} was there and is gone while it was being read. Restore it, or wait "
                    "until the program that writes there is done."
                ) from error
    raise UserError(_unknown(data, ", ".join(reader.reads for reader in known)))


def opens(data: str) -> bool:
    """Whether a source would open this path or address; nothing is read yet."""
    meant = _meant(data)
    return any(reader.claims(meant) for reader in readers())


def _meant(data: object) -> object:
    """Takes a string for a path unless it is an address."""
    if isinstance(data, str) and not uri.matches(data):
        data = Path(data)
    if not isinstance(data, Path):
        return data
    data = data.expanduser()
    try:
        data.exists()
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise UserError(f"{str(data)[:200]} cannot be searched for: {error.strerror}. Check the path.") from error
    return data


def readers() -> list[SourceReader]:
    """One reader per source, in the order in which they are asked."""
    made: list[SourceReader] = [factory.build("sources", name, {}) for name in registry.kinds("sources")]
    return sorted(made, key=lambda reader: reader.order)


def _filled(frame: Frame) -> Frame:
    if not len(frame):
        raise UserError(f"{frame.name} has no rows; expected at least two to learn from.")
    return frame


def _unknown(data: object, known: str) -> str:
    if isinstance(data, str):
        return (
            f"{uri.without_secrets(data)} is an address that no source reads; kontrast reads "
            "what is on this machine, and "
            "databases (sqlite:, duckdb:, postgresql:) and the hub (hf:). Download it and give the path."
        )
    if not isinstance(data, Path):
        return f"data is a {type(data).__name__}, which no source reads; expected {known}."
    if not data.exists():
        return f"{data} does not exist (looked from {Path.cwd()}). Check the path."
    if kind := unsupported.of_path(data):
        return f"{data} holds {unsupported.words(kind)}."
    if data.is_dir():
        found = sorted(p.name for p in data.iterdir())[:5]
        listed = f"found {', '.join(found)}" if found else "it is empty"
        return f"the folder {data} holds nothing that a source reads ({listed}). Expected {known}."
    return f"no source reads {data} (suffix '{data.suffix}'); expected {known}."

"""Addresses of rows that are no file: queries to databases, names on a hub."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from kontrast.core.errors import UserError

# Two letters at least: C: is a drive.
_ADDRESS = re.compile(r"[a-z][a-z0-9+]+:", re.IGNORECASE)
_TABLE = re.compile(r"[\w$]+(\.[\w$]+)*")
_SECRETS = {"password", "passfile", "sslpassword", "token", "secret"}


def matches(data: str) -> bool:
    """Whether a string is an address; if a file of that name exists, it is a path."""
    return bool(_ADDRESS.match(data)) and not _exists(data)


def split_query(data: str, example: str) -> tuple[str, str]:
    """Splits an address WHERE#QUERY; the name of a table asks for all of it.

    Returns:
        (where, query).

    Raises:
        UserError: no query, or no UTF-8 text.
    """
    where, _, query = data.partition("#")
    query = query.strip().rstrip(";")
    if not data.isascii() and not _encodes(data):
        raise UserError(
            f"{data.encode('utf8', 'replace').decode()} holds bytes that are not UTF-8 text; write the address again."
        )
    if not query:
        raise UserError(
            f"{without_secrets(where)} names no rows; say which after a #: a table or a query, such as {example}"
        )
    if _TABLE.fullmatch(query):
        query = "SELECT * FROM " + ".".join(f'"{name}"' for name in query.split("."))
    return where, query


def _encodes(data: str) -> bool:
    try:
        data.encode("utf8")
    except UnicodeEncodeError:
        return False
    return True


def without_secrets(data: str) -> str:
    """Address for messages and files: without passwords, cut to a line."""
    data = re.sub(r"(?<=//)([^/@:#]*):[^#]*@", r"\1:***@", data)
    names = "|".join(_SECRETS)
    data = re.sub(rf"\b({names})=[^&#\s]*", r"\1=***", data, flags=re.IGNORECASE)
    return data if len(data) < 200 else data[:197] + "..."


def refuse_secrets(data: str, instead: str) -> None:
    """Refuses an address with a password, since addresses are written into runs and indexes.

    Raises:
        UserError: a password or another secret; `instead` ends the message.
    """
    where = data.partition("#")[0]
    try:
        parts = urlsplit(where)
        named = [name for name, _ in parse_qsl(parts.query)] + re.findall(r"(\w+)\s*=", where)  # libpq's "host=h"
        secret = bool(parts.password) or any(name.lower() in _SECRETS for name in named)
    except ValueError as error:
        raise UserError(f"{without_secrets(where)} is no address that can be read: {error}.") from error
    if secret:
        raise UserError(
            f"{without_secrets(where)} holds a password, which would be written into the run and into the shell's "
            f"history. Take it out of the address; {instead}"
        )


def short_name(data: str | Path) -> str:
    """Short name for a run: `shop` of data/shop.csv and of sqlite:data/shop.db#SELECT ..."""
    if isinstance(data, Path) or not matches(data):
        return Path(data).stem
    where = re.split(r"[#?]", data)[0]
    last = where.partition(":")[2].rpartition("/")[2].split("@")
    return Path((last[-1] if "//" in where else last[0]).partition(":")[0]).stem or data.partition(":")[0]


def _exists(data: str) -> bool:
    try:
        return Path(data).exists()
    except (OSError, ValueError):  # a query is longer than any name of a file
        return False

"""A filter as the user writes it, with the columns' own names, becomes one over the names that the tables bear."""

import re
from collections.abc import Mapping

# A string, a name in double quotes or backticks (a quote inside is doubled), a bare word, anything else.
TOKEN = re.compile(r"""('(?:[^']|'')*')|("(?:[^"]|"")*")|(`(?:[^`]|``)*`)|([^\W\d]\w*)|(.)""", re.DOTALL)


def translate(where: str, columns: Mapping[str, str]) -> str:
    """`columns`: the user's name -> the table's. Strings, and names of no column (AND, lower, a typo), stay.

    Case counts only where two columns differ in nothing else. A name with anything but letters, digits and _ stands
    in double quotes or backticks.
    """
    return "".join(_one(found, columns) for found in TOKEN.finditer(where))


def literal(text: str) -> str:
    """The text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def _one(found: re.Match[str], columns: Mapping[str, str]) -> str:
    token = found.group()
    if found.lastindex not in (2, 3, 4):
        return token
    name = token if found.lastindex == 4 else token[1:-1].replace(token[0] * 2, token[0])
    if name in columns:
        return columns[name]
    alike = [table for known, table in columns.items() if known.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else token

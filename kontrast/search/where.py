"""Parser of filters: SQL text becomes a checked tree that engines translate.

    condition: [NOT] a AND b, a OR b, (a); value = <> != < <= > >= value; value [NOT] IN (value, ...);
               value [NOT] LIKE 'a%', ILIKE; value [NOT] BETWEEN a AND b; value IS [NOT] NULL; a boolean column
    value:     column, "column with spaces", 'text', 1.5, TRUE, TIMESTAMP '2020-01-31 12:00', DATE '2020-01-31',
               a + b, a - b, a * b, a / b, a % b, -a, lower(a), upper(a)

Missing values behave as in SQL: neither a condition nor its negation holds. The text itself never reaches a database,
so filters from untrusted users are safe.
"""

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

_call: Any = pc  # pyarrow creates these functions on import, so type checkers do not know them
Sort = Literal["text", "whole", "number", "truth", "time", "zoned", "other"]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)"""
    r"""|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<word>[^\W\d]\w*)|(?P<sign><>|!=|<=|>=|[=<>()+\-*/%,]))"""
)
_COMPARED = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_NUMBERS = ("whole", "number")
_TIMES = ("time", "zoned")
_LARGEST = 100_000  # nodes of a filter's tree
_DEEPEST = 100  # levels of the tree; engines walk it by recursion


@dataclass(frozen=True)
class Term:
    """Node of a filter's tree with the type of its result, `sort`.

    `value` is a column's name in the table, a constant, or the listed constants of "in".
    """

    op: str
    sort: Sort
    parts: tuple["Term", ...] = ()
    value: Any = None


class Unclear(ValueError):
    """Error in a filter; its text completes a sentence for the user."""


def parse(where: str, columns: Mapping[str, tuple[str, Sort]]) -> Term:
    """Parses a filter into a checked tree.

    Args:
        where: SQL text; case in column names counts only if two columns differ in nothing else.
        columns: The user's column names, each with the name in the table and the type of its values.

    Raises:
        Unclear: A filter that cannot be parsed, compares unlike types, names an unknown column or is too large.
    """
    reader = _Reader(where, columns)
    try:
        term = reader.either()
    except RecursionError as error:
        raise Unclear("it is nested too deeply") from error
    if reader.at < len(reader.tokens):
        raise Unclear(f"'{reader.tokens[reader.at][1]}' is not expected there")
    if _depth(term) > _DEEPEST:
        raise Unclear(f"it is nested too deeply, or counts with more than {_DEEPEST} values in a row")
    if _size(term) > _LARGEST:
        raise Unclear("it is too long, or has too many % one inside of the other")
    return _truth(term)


def _depth(term: Term) -> int:
    depth, level = 0, [term]
    while level:
        depth, level = depth + 1, [part for one in level for part in one.parts]
    return depth


def _size(term: Term) -> int:
    """Number of nodes to evaluate; sides of % count twice, as pyarrow has no modulo."""
    return 1 + sum(map(_size, term.parts)) * (2 if term.op == "%" else 1)


def among(column: str, values: Sequence[str]) -> Term:
    """Builds `column IN (values)` for a text column."""
    return Term("in", "truth", (Term("column", "text", value=column),), tuple(values))


def both(*terms: Term | None) -> Term | None:
    """Joins the terms that are not None with AND; None if all are None."""
    there = [term for term in terms if term is not None]
    found = there[0] if there else None
    for term in there[1:]:
        found = Term("and", "truth", (found, term)) if found else term
    return found


def negated(term: Term) -> Term:
    """Builds `NOT term`."""
    return Term("not", "truth", (term,))


def empty_is_missing(term: Term, column: str) -> Term:
    """Rewrites `column IS NULL` to match empty text too, which stands for unknown labels."""
    if term.op == "missing" and term.parts[0].op == "column" and term.parts[0].value == column:
        return Term("or", "truth", (term, Term("=", "truth", (term.parts[0], Term("value", "text", value="")))))
    return replace(term, parts=tuple(empty_is_missing(part, column) for part in term.parts))


def sort_of(type_: pa.DataType) -> Sort:
    """Type of values, as filters see it, of a pyarrow type."""
    if pa.types.is_boolean(type_):
        return "truth"
    if pa.types.is_integer(type_):
        return "whole"
    if pa.types.is_floating(type_):
        return "number"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return "text"
    if pa.types.is_timestamp(type_):
        return "zoned" if type_.tz else "time"
    return "time" if pa.types.is_date(type_) else "other"


def to_sql(term: Term, place: Callable[[Any], str]) -> str:
    """Writes a term as bracketed SQL; `place` writes constants as literals or placeholders."""
    if term.op == "column":
        return f'"{term.value}"' if '"' not in term.value else term.value
    if term.op == "value":
        return place(term.value)
    parts = [to_sql(part, place) for part in term.parts]
    if term.op == "in":
        return f"({parts[0]} IN ({', '.join(place(value) for value in term.value)}))"
    if term.op in ("lower", "upper"):
        return f"{term.op}({parts[0]})"
    if term.op == "missing":
        return f"({parts[0]} IS NULL)"
    if term.op in ("not", "minus"):
        return f"({'NOT' if term.op == 'not' else '-'} {parts[0]})"
    return f"({parts[0]} {term.op.upper()} {parts[1]})"


def to_arrow(term: Term) -> pc.Expression:
    """Translates a term into a pyarrow expression."""
    if term.op == "column":
        return pc.field(term.value)
    if term.op == "value":
        return pc.scalar(term.value)
    if term.op in ("like", "ilike"):
        return _call.match_like(to_arrow(term.parts[0]), term.parts[1].value, ignore_case=term.op == "ilike")
    a, *rest = [to_arrow(part) for part in term.parts]
    if term.op == "in":
        found = _call.is_in(a, value_set=pa.array(list(term.value)))
        return _call.if_else(a.is_valid(), found, pc.scalar(pa.scalar(None, pa.bool_())))
    one: dict[str, Callable[[pc.Expression], pc.Expression]] = {
        "not": lambda x: ~x,
        "minus": _call.negate,
        "missing": lambda x: x.is_null(),
        "lower": _call.utf8_lower,
        "upper": _call.utf8_upper,
    }
    if term.op in one:
        return one[term.op](a)
    b = rest[0]
    two: dict[str, Callable[[pc.Expression, pc.Expression], pc.Expression]] = {
        "and": lambda x, y: x & y,
        "or": lambda x, y: x | y,
        "=": lambda x, y: x == y,
        "<>": lambda x, y: x != y,
        "<": lambda x, y: x < y,
        "<=": lambda x, y: x <= y,
        ">": lambda x, y: x > y,
        ">=": lambda x, y: x >= y,
        "+": _call.add,
        "-": _call.subtract,
        "*": _call.multiply,
        "/": _call.divide,
        "%": lambda x, y: _call.subtract(x, _call.multiply(_call.divide(x, y), y)),
    }
    return two[term.op](a, b)


class _Reader:
    """Recursive-descent parser with a method per rule of the grammar above."""

    def __init__(self, where: str, columns: Mapping[str, tuple[str, Sort]]) -> None:
        self.columns, self.at = columns, 0
        self.tokens: list[tuple[str, str]] = []
        start, end = 0, len(where.rstrip())
        while start < end:
            found = _TOKEN.match(where, start)
            if found is None:
                raise Unclear(f"{where[start:].strip()[:20]!r} cannot be read")
            self.tokens.append((str(found.lastgroup), found.group(str(found.lastgroup))))
            start = found.end()

    def either(self) -> Term:
        """Parses `a OR b`."""
        terms = [self.all_of()]
        while self.took("or"):
            terms.append(self.all_of())
        return _joined("or", terms)

    def all_of(self) -> Term:
        """Parses `a AND b`."""
        terms = [self.negation()]
        while self.took("and"):
            terms.append(self.negation())
        return _joined("and", terms)

    def negation(self) -> Term:
        """Parses `NOT a`."""
        return negated(_truth(self.negation())) if self.took("not") else self.condition()

    def condition(self) -> Term:
        """Parses a comparison, or a value alone."""
        left = self.total()
        for sign, op in _COMPARED.items():
            if self.took(sign):
                return _compared(op, left, self.total())
        if self.took("is"):
            contrary = self.took("not")
            self.expect("null")
            missing = Term("missing", "truth", (left,))
            return negated(missing) if contrary else missing
        contrary = self.took("not")
        if self.took("in"):
            term = self.listed(left)
        elif self.took("between"):
            low = _compared(">=", left, self.total())
            self.expect("and")
            term = Term("and", "truth", (low, _compared("<=", left, self.total())))
        elif (like := self.took("like")) or self.took("ilike"):
            pattern = self.total()
            if left.sort != "text" or pattern.op != "value" or pattern.sort != "text":
                raise Unclear("LIKE compares a column of text with a text in quotes")
            term = Term("like" if like else "ilike", "truth", (left, pattern))
        elif contrary:
            raise Unclear("NOT stands before IN, LIKE, BETWEEN or a condition")
        else:
            return left
        return negated(term) if contrary else term

    def listed(self, left: Term) -> Term:
        """Parses the list of `IN (constant, ...)`."""
        self.expect("(")
        values = [self.total()]
        while self.took(","):
            values.append(self.total())
        self.expect(")")
        values = [_compared("=", left, value).parts[1] for value in values]
        if any(value.op != "value" for value in values):
            raise Unclear("IN takes a list of constants")
        return Term("in", "truth", (left,), tuple(value.value for value in values))

    def total(self) -> Term:
        """Parses `a + b` and `a - b`."""
        term = self.product()
        while (plus := self.took("+")) or self.took("-"):
            term = _counted("+" if plus else "-", term, self.product())
        return term

    def product(self) -> Term:
        """Parses `a * b`, `a / b` and `a % b`."""
        term = self.single()
        while sign := next((sign for sign in "*/%" if self.took(sign)), None):
            term = _counted(sign, term, self.single())
        return term

    def single(self) -> Term:
        """Parses a constant, a column, a function call or a bracketed condition."""
        if self.at >= len(self.tokens):
            raise Unclear("it ends too soon")
        if self.took("-"):
            term = self.single()
            if term.op == "value" and term.sort in _NUMBERS:
                return Term("value", term.sort, value=-term.value)
            return Term("minus", _counted("-", term, term).sort, (term,))
        if self.took("("):
            term = self.either()
            self.expect(")")
            return term
        group, token = self.tokens[self.at]
        after = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else ("", "")
        self.at += 1
        word = token.lower()
        if group == "text":
            return Term("value", "text", value=token[1:-1].replace("''", "'"))
        if group == "number":
            return _whole(token) if token.isdigit() else _float(token)
        if group == "word" and word in ("true", "false"):
            return Term("value", "truth", value=word == "true")
        if group == "word" and word in ("timestamp", "date") and after[0] == "text":
            self.at += 1
            return _timed(after[1][1:-1], "time")
        if group == "word" and word in ("lower", "upper") and after[1] == "(":
            term = self.single()
            if term.sort != "text":
                raise Unclear(f"{word}() takes text")
            return Term(word, "text", (term,))
        if group in ("word", "quoted"):
            return self.column(token if group == "word" else token[1:-1].replace(token[0] * 2, token[0]))
        raise Unclear(f"'{token}' is not expected there")

    def column(self, name: str) -> Term:
        """Looks up a column by the user's name."""
        alike = [known for known in self.columns if known.casefold() == name.casefold()]
        name = name if name in self.columns else alike[0] if len(alike) == 1 else name
        if name not in self.columns:
            raise Unclear(f"there is no column '{name}'")
        column, sort = self.columns[name]
        return Term("column", sort, value=column)

    def took(self, token: str) -> bool:
        """Consumes a sign or keyword if it comes next, and says whether it did."""
        if self.at < len(self.tokens):
            group, found = self.tokens[self.at]
            if group in ("word", "sign") and found.lower() == token:
                self.at += 1
                return True
        return False

    def expect(self, token: str) -> None:
        """Consumes a sign or keyword; raises Unclear if another token comes next."""
        if not self.took(token):
            found = f"'{self.tokens[self.at][1]}'" if self.at < len(self.tokens) else "its end"
            raise Unclear(f"expected {token.upper()} before {found}")


def _truth(term: Term) -> Term:
    if term.sort != "truth":
        raise Unclear("a condition is expected, such as year > 2000")
    return term


def _joined(op: str, terms: Sequence[Term]) -> Term:
    """Joins terms as a balanced tree, so that a thousand terms are ten levels deep."""
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return Term(op, "truth", (_truth(_joined(op, terms[:middle])), _truth(_joined(op, terms[middle:]))))


def _compared(op: str, a: Term, b: Term) -> Term:
    if a.sort in _TIMES and b.sort in ("text", "time") and b.op == "value":
        b = _timed(b.value, a.sort)
    elif b.sort in _TIMES and a.sort in ("text", "time") and a.op == "value":
        a = _timed(a.value, b.sort)
    if "other" in (a.sort, b.sort):
        raise Unclear("a column of lists or the like can only be asked whether it IS NULL")
    if a.sort != b.sort and not (a.sort in _NUMBERS and b.sort in _NUMBERS):
        raise Unclear(f"it compares {_SAID[a.sort]} with {_SAID[b.sort]}")
    return Term(op, "truth", (a, b))


def _counted(op: str, a: Term, b: Term) -> Term:
    for term in (a, b):
        if term.sort not in _NUMBERS or (op == "%" and term.sort != "whole"):
            raise Unclear(f"'{op}' takes {'whole numbers' if op == '%' else 'numbers'}, found {_SAID[term.sort]}")
    return Term(op, "whole" if a.sort == b.sort == "whole" else "number", (a, b))


def _whole(token: str) -> Term:
    """Integer constant; one that may exceed 64 bits becomes a float."""
    return Term("value", "whole", value=int(token)) if len(token) < 19 else _float(token)


def _float(token: str) -> Term:
    return Term("value", "number", value=float(token))


def _timed(value: str | datetime.datetime, sort: Sort) -> Term:
    """Time constant; without a time zone it is UTC, as in table columns without zones."""
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError as error:
            raise Unclear(f"'{value}' is no time; expected '2020-01-31' or '2020-01-31 12:00:00'") from error
    aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
    utc = aware.astimezone(datetime.UTC)
    return Term("value", sort, value=utc if sort == "zoned" else utc.replace(tzinfo=None))


_SAID: Mapping[str, str] = {
    "text": "text",
    "whole": "a number",
    "number": "a number",
    "truth": "a truth",
    "time": "a time",
    "zoned": "a time",
    "other": "a list or the like",
}

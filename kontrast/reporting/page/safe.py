"""Escaping that keeps user text from becoming markup: HTML, and JSON inside a script element."""

import html
import json
import math
from typing import Any


def esc(text: Any) -> str:
    """Any value as text that is safe in an element and in a quoted attribute."""
    return html.escape(str(text), quote=True)


def block(name: str, value: Any) -> str:
    """JSON island `<script type="application/json">` whose text cannot close the element or open a comment.

    Args:
        name: Id of the element.
        value: Plain values.
    """
    text = json.dumps(finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{esc(name)}">{text}</script>'


def finite(value: Any) -> Any:
    """Same tree with None for NaN and infinity, which JSON lacks."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    return [finite(v) for v in value] if isinstance(value, list | tuple) else value

"""What keeps a user's words from becoming markup: escaping for HTML, and JSON that may stand in a script element."""

import html
import json
import math
from typing import Any


def esc(text: Any) -> str:
    """Any value as text that is safe in an element and in a quoted attribute."""
    return html.escape(str(text), quote=True)


def block(name: str, value: Any) -> str:
    """A JSON island `<script type="application/json">`; no byte of it can close the element or open a comment."""
    text = json.dumps(finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{esc(name)}">{text}</script>'


def finite(value: Any) -> Any:
    """The same tree with None for NaN and infinities, which JSON does not know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    return [finite(v) for v in value] if isinstance(value, list | tuple) else value

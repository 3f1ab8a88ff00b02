"""Captions that the run wrote of held-out rows, beside the true ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from kontrast.core.number_format import many, number
from kontrast.reporting.page.safe import esc


def captions(found: Mapping[str, Any], thumbnails: Mapping[str, Sequence[str | None]]) -> str:
    """Each row with what was written of it and what is true; "" without captions.

    Args:
        found: {"rows", "loss", "shuffled", "shown"} and perhaps "word errors", as in `report.Story`.
        thumbnails: Field -> one HTML snippet, or None, per row.
    """
    if not found.get("shown"):
        return ""
    errors = found.get("word errors")
    spoken = f"The <b>word error rate</b> is {number(errors['value'])}{_ends(errors)}. " if errors else ""
    cards = "".join(_card(one, thumbnails.get(one["field"], ())) for one in found["shown"])
    return (
        f"<p class='note'>{spoken}Written from the features of rows that training never saw, the likeliest token each. "
        f"The true captions of {many(found['rows'], 'row')} cost {found['loss']:.2f} nats per token, and "
        f"{found['shuffled']:.2f} if each is expected from another row.</p><div class='views'>{cards}</div>"
    )


def _ends(errors: Mapping[str, Any]) -> str:
    """The interval in brackets, if there is one."""
    low, high = errors.get("low"), errors.get("high")
    return "" if low is None or high is None else f" [{number(low)}, {number(high)}]"


def _card(one: Mapping[str, Any], column: Sequence[str | None]) -> str:
    snippet = column[one["row"]] if 0 <= one["row"] < len(column) else None
    right = one["said"] == one["true"]
    truth = "<small>as it is</small>" if right else f"<small>in truth: {esc(one['true'])}</small>"
    return (
        f"<figure class='card{' asked' * right}'><div class='thumb'>{snippet or ''}</div>"
        f"<figcaption>{esc(one['said'] or '(nothing)')}{truth}<small>{esc(one['field'])}</small></figcaption></figure>"
    )

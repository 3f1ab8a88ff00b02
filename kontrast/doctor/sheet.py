"""Contact sheet: HTML snippets of images, drawings and texts as a picture, without a browser."""

import base64
import html
import io
import re
import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_SIDE, _LOW, _GAP, _HEAD = 132, 76, 10, 24  # pixels; _LOW is the height of a line without images
_PAPER, _CARD, _INK, _SOFT = "#fdfdfc", "#f3f5f6", "#1c2024", "#5c6670"
_PNG = re.compile(r"data:image/[\w+.-]+;base64,([A-Za-z0-9+/=]+)")
_PATH = re.compile(r'<path d="([^"]+)"[^>]*?stroke="([^"]+)"')
_BOX = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_POINT = re.compile(r"([ML])(-?[\d.]+) (-?[\d.]+)")
_BREAK, _TAG = re.compile(r"<br\s*/?>"), re.compile(r"<[^>]+>")


def sheet(rows: Sequence[tuple[str, Sequence[str]]], heads: Sequence[str]) -> Image.Image:
    """Draws a table of snippets.

    Args:
        rows: Per line, its name and an HTML snippet per cell.
        heads: Title of each column.

    Returns:
        The picture, as wide as the columns need.
    """
    sides = [_SIDE if any(_PNG.search(s) for s in snippets) else _LOW for _, snippets in rows]
    wide, high = _GAP + len(heads) * (_SIDE + _GAP), _HEAD + sum(side + _HEAD + _GAP for side in sides)
    page = Image.new("RGB", (wide, high), _PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    for column, head in enumerate(heads):
        pen.text((_GAP + column * (_SIDE + _GAP), 5), head, _SOFT, font)
    top = _HEAD
    for (name, snippets), side in zip(rows, sides, strict=True):
        for column, snippet in enumerate(snippets):
            page.paste(_cell(snippet, side), (_GAP + column * (_SIDE + _GAP), top))
        pen.text((_GAP, top + side + 3), _latin(name)[: wide // 8], _SOFT, font)
        top += side + _HEAD + _GAP
    return page


def _cell(snippet: str, high: int) -> Image.Image:
    cell = Image.new("RGB", (_SIDE, high), _CARD)
    if picture := _PNG.search(snippet):
        image = Image.open(io.BytesIO(base64.b64decode(picture[1]))).convert("RGB")
        factor = _SIDE / max(image.size)
        size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
        small = factor > 1  # keep the pixels of a thumbnail sharp
        image = image.resize(size, Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS)
        cell.paste(image, ((_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2))
    elif box := _BOX.search(snippet):
        _draw(cell, snippet, float(box[1]), float(box[2]))
    else:
        words = html.unescape(_TAG.sub("", _BREAK.sub("\n", snippet)))
        lines = [line for part in words.split("\n") for line in textwrap.wrap(_latin(part), 19)]
        most = (high - 10) // 16
        text = "\n".join(lines[:most] if len(lines) <= most else [*lines[: most - 1], "…"])
        ImageDraw.Draw(cell).multiline_text((7, 5), text, _INK, ImageFont.load_default(12), spacing=3)
    return cell


def _draw(cell: Image.Image, snippet: str, wide: float, high: float) -> None:
    """Draws the strokes of an SVG at twice the size and shrinks them for smooth lines."""
    large = Image.new("RGB", (2 * cell.width, 2 * cell.height), _CARD)
    pen = ImageDraw.Draw(large)
    for path, colour in _PATH.findall(snippet):
        line: list[tuple[float, float]] = []
        for move, x, y in [*_POINT.findall(path), ("M", "0", "0")]:
            if move == "M":
                if len(line) > 1:
                    pen.line(line, colour, 3, "curve")
                line = []
            line.append((2 * cell.width * float(x) / wide, 2 * cell.height * float(y) / high))
    cell.paste(large.resize(cell.size, Image.Resampling.LANCZOS))


def _latin(text: str) -> str:
    """Replaces letters that the built-in font lacks by a small square."""
    return "".join(letter if ord(letter) < 0x250 or letter in "…–—‘’“”" else "▯" for letter in text)

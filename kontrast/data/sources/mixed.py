"""Several sources as one: rows under each other with weights, or side by side by a key, as a JSON file says."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kontrast.core import untrusted_json
from kontrast.core.errors import UserError, did_you_mean
from kontrast.data.schema import fields, file_tree, split
from kontrast.data.schema.fields import infer
from kontrast.data.sources import join
from kontrast.data.sources.open_source import open_frame
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables import uri
from kontrast.data.tables.frame import Frame, widest

_FIRST = re.compile(rb'^(\xef\xbb\xbf)?\s*\{\s*"(mix|join|on|how)"\s*:')
_EXAMPLE = '{"mix": [{"data": "a.csv", "weight": 2}, {"data": "b/"}]} or {"join": [{"data": ...}, ...], "on": "sku"}'


class Mixed(SourceReader):
    """A .json file that mixes or joins several sources.

    Paths in it are relative to it. It is read as if its sources had been typed: it may name any file and any database
    that you may read, so look at a file that someone sent you.

    {"mix": [{"data": "a.csv", "weight": 2}, {"data": "b/"}]}: all rows under each other; a row of a.csv is drawn twice
    as often as one of b/. Columns of one name are one column; `mix source` says where a row came from.

    {"join": [{"data": "a.csv"}, {"data": "b.csv"}], "on": "sku", "how": "inner"}: rows of equal `sku` side by side;
    `outer`, the default, keeps the rows without a partner, which then miss its columns. `on` may be a list with a name
    per source, if the key has several names. A key may repeat in one of two sources, not in both.
    """

    order = 28
    reads = "a .json that mixes or joins several"

    def claims(self, data: object) -> bool:
        """Claims .json files that hold an object with the key mix or join."""
        return isinstance(data, Path) and _mixes(data)

    def open(self, data: object, cache: Path | None) -> Frame:
        """Concatenates sources without copying their rows, or writes joined rows to the cache."""
        assert isinstance(data, Path)
        said = untrusted_json.tree(untrusted_json.text(data), str(data))
        what = "mix" if "mix" in said else "join"
        _check(said, {"mix"} if what == "mix" else {"join", "on", "how"}, str(data))
        parts = said.get(what)
        if not isinstance(parts, list) or len(parts) < 2 or not all(isinstance(part, dict) for part in parts):
            raise UserError(f"{data}: '{what}' is {str(parts)[:60]}; expected a list of two or more: {_EXAMPLE}.")
        for number, part in enumerate(parts):
            _check(part, {"data", "weight"} if what == "mix" else {"data"}, f"{data}, {what}[{number}]")
        frames = [_opened(part, data, cache) for part in parts]
        return _mix(frames, parts, data) if what == "mix" else _join(frames, said, data, cache)


def _mixes(path: Path) -> bool:
    if path.suffix.lower() != ".json" or not file_tree.there(path):
        return False
    with path.open("rb") as file:
        return bool(_FIRST.match(file.read(512)))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long, which opening it reports
        return False


def _check(said: Mapping[str, Any], known: set[str], where: str) -> None:
    for name in said:
        if name not in known:
            raise UserError(f"{where} has no setting '{name}'{did_you_mean(name, known)}")


def _opened(part: Mapping[str, Any], file: Path, cache: Path | None) -> Frame:
    """One source; paths of pictures in it are relative to the folder of `file` from here on."""
    data = part.get("data")
    if not isinstance(data, str):
        raise UserError(f"{file}: a source is {part}; expected its path or address: {_EXAMPLE}.")
    if uri.matches(data):
        scheme, _, rest = data.partition(":")
        here = scheme in ("sqlite", "duckdb") and rest[:1] not in ("#", "/")
        frame = open_frame(f"{scheme}:{file.parent / rest}" if here else data, cache=cache)
        name = uri.short_name(data)
    else:
        place = file.parent / data
        if any(map(_mixes, place.glob("*.json") if _is_folder(place) else [place])):  # it could name this one in turn
            raise UserError(f"{file}: {data[:200]} mixes or joins sources itself; name those sources here instead.")
        frame, name = open_frame(place, cache=cache), data
    columns = dict(frame.columns)
    for column in fields.file_fields(infer(frame, {}, None), frame):
        columns[column] = join.moved(columns[column], frame.folder, file.parent)
    return Frame(columns, name, file.parent, widest((frame,)))


def _mix(frames: list[Frame], parts: list[Mapping[str, Any]], file: Path) -> Frame:
    weights = [part.get("weight", 1) for part in parts]
    for part, weight in zip(parts, weights, strict=True):
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
            raise UserError(f"{file}: {part['data']} has the weight {weight!r}; expected a number above 0.")
    names = [frame.name for frame in frames]
    if len(set(names)) < len(names):
        names = [f"{name} {number}" for number, name in enumerate(names, 1)]
    columns = split.under(dict(zip(names, frames, strict=True)), file.name)
    lengths = [len(frame) for frame in frames]
    columns[fields.MIX_SOURCE] = pa.chunked_array([pa.array(np.repeat(names, lengths), pa.string())])
    ids = [join.named(name, frame) for name, frame in zip(names, frames, strict=True)]
    columns[fields.MIX_ID] = pa.chunked_array(ids, pa.string())
    if len(set(weights)) > 1:
        columns[fields.MIX_WEIGHT] = pa.chunked_array([pa.array(np.repeat(np.array(weights, float), lengths))])
    return Frame(columns, file.stem, file.parent, widest(frames))


def _join(frames: list[Frame], said: Mapping[str, Any], file: Path, cache: Path | None) -> Frame:
    how, on = said.get("how", "outer"), said.get("on")
    if how not in ("inner", "outer"):
        raise UserError(f"{file}: how={how!r}; expected 'inner' or 'outer'.")
    keys = [on] * len(frames) if isinstance(on, str) else on
    if not isinstance(keys, list) or len(keys) != len(frames) or not all(isinstance(key, str) for key in keys):
        raise UserError(f"{file}: on={on!r}; expected a column's name, or one for each of the {len(frames)} sources.")
    for key, frame in zip(keys, frames, strict=True):
        if key not in frame.columns:
            raise UserError(f"{file}: {frame.name} has no column '{key}'{did_you_mean(key, frame.columns)}")
    joined = frames[0]
    for frame, key in zip(frames[1:], keys[1:], strict=True):
        joined = join.joined(joined, keys[0], frame, key, outer=how == "outer", cache=cache)
    return Frame(joined.columns, file.stem, file.parent, joined.within)

"""Damage done to a valid file: bytes are cut, flipped, doubled; JSON, zip and tar are also changed inside and packed
again, for blind bytes would only ever meet their checks."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

ODD = (
    *(b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", "\u202e\u200b".encode(), b"\x1b[31m", b"\r", b"\n\n"),
    *(b'"', b"'", b",", b":", b"\t", b";", b"[", b"]", b"{", b"}", b"null", b"NaN", b"-1", b"0", b"1e999", b"1e-999"),
    *(b"9" * 40, b"../../etc/passwd", b"/etc/passwd", b"?", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\0" * 8, b"A" * 300),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "a", "\0", "\u202e", "\ud800", "x" * 300, "../x", "sqlite:x#y", [], {}, [[]], [None], [1, "a"], {"a": 1}),
    *([1.5, 2.5], {"name": "x"}, {"name": 3}, [{"name": "a"}], "image", "text", "label"),
)


def changed(data: bytes, random: Random) -> bytes:
    """A few changes; none at all now and then."""
    for _ in range(random.choice((0, 1, 1, 1, 2, 3, 5))):
        data = random.choice((_bytes, _bytes, _inside))(data, random)
    return data


def _bytes(data: bytes, random: Random) -> bytes:
    at = random.randint(0, len(data))
    to = min(len(data), at + random.choice((1, 1, 2, 4, 8, 32, 200)))
    how = random.randrange(7)
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + data[to:]
    if how == 2:
        return data[:at] + data[at:to] * random.choice((2, 3, 50)) + data[to:]
    if how == 3:
        return data[:at] + random.choice(ODD) + data[at:]
    if how == 4:
        return data[:at] + random.choice(ODD) + data[to:]
    if how == 5:
        return data[:at] + random.randbytes(to - at) + data[to:]
    other = random.randint(0, len(data))
    return data[:at] + data[other : other + to - at] + data[to:]


def _inside(data: bytes, random: Random) -> bytes:
    packed: list[tuple[bytes, Callable[[bytes, Random], bytes]]] = [(b"PK", _zip), (b"\x93NUMPY", _header)]
    for start, way in packed:
        if data.startswith(start):
            return way(data, random)
    if data[257:262] == b"ustar":
        return _tar(data, random)
    if data[8:9] == b"{" and len(data) > 8:
        return _safetensors(data, random)
    return _lines(data, random)


def _lines(data: bytes, random: Random) -> bytes:
    """JSON, or one line of JSON Lines: a value somewhere in it is another."""
    with suppress(ValueError, RecursionError):
        return _json(json.loads(data), random)
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    with suppress(ValueError, RecursionError):
        lines[at] = _json(json.loads(lines[at]), random)
        return b"\n".join(lines)
    return _bytes(data, random)


def _json(tree: Any, random: Random) -> bytes:
    holder = [tree]
    here: Any = holder
    key: Any = 0
    while isinstance(here[key], dict | list) and here[key] and random.random() < 0.8:
        here = here[key]
        key = random.choice(list(here)) if isinstance(here, dict) else random.randrange(len(here))
    how = random.randrange(5)
    if how == 0 and here is not holder:
        del here[key]
    elif how == 1 and isinstance(here, dict):
        here[random.choice(("a", "name", "", "\u202e", key + "x"))] = here.pop(key)
    elif how == 2 and isinstance(here, list):
        here.insert(key, random.choice(VALUES))
    else:
        here[key] = random.choice(VALUES)
    return json.dumps(holder[0] if holder else None, ensure_ascii=random.random() < 0.5).encode("utf8", "surrogatepass")


def _zip(data: bytes, random: Random) -> bytes:
    with suppress(Exception):
        with zipfile.ZipFile(io.BytesIO(data)) as old:
            members = [[name, old.read(name)] for name in old.namelist()]
        some = random.choice(members)
        if random.random() < 0.2:
            some[0] = random.choice(("../x.npy", "/x.npy", "x", "a_train.npy", "\x00.npy", "é.npy"))
        else:
            some[1] = changed(some[1], random)
        out = io.BytesIO()
        kind = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        with zipfile.ZipFile(out, "w", kind) as new:
            for name, content in members:
                new.writestr(name, content)
        return out.getvalue()
    return _bytes(data, random)


def _header(data: bytes, random: Random) -> bytes:
    """The words in front of an array of numpy: its kind, its order, its shape."""
    old, new = random.choice(
        (
            *((b"<f4", kind) for kind in (b"|O", b"<U9", b"<f2", b">i8", b"<c8", b"<M8[s]", b"|V4", b"|b1", b"<m8")),
            *((b"(", b"(99999999999, "), (b"(", b"(-1, "), (b"(", b"(0, "), (b"False", b"True"), (b"shape", b"shapf")),
        )
    )
    return data.replace(old, new, 1) if random.random() < 0.8 else _bytes(data, random)


def _tar(data: bytes, random: Random) -> bytes:
    with suppress(Exception):
        with tarfile.open(fileobj=io.BytesIO(data)) as old:
            members = [(m, old.extractfile(m).read()) for m in old if m.isreg()]
        at = random.randrange(len(members))
        member, content = members[at]
        how = random.randrange(4)
        if how == 0:
            names = ("../a.txt", "/a.txt", "a", ".a", "a.b.c.txt", "a.json", "a.npy", "a.cls", "a.png", "\u202e.txt")
            member.name = random.choice(names)
        elif how == 1:
            member.type = random.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, b"Z"))
        else:
            content = changed(content, random)
        members[at] = member, content
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as new:
            for one, inside in members:
                one.size = len(inside)
                new.addfile(one, io.BytesIO(inside))
        return out.getvalue()
    return _bytes(data, random)


def _safetensors(data: bytes, random: Random) -> bytes:
    length = int.from_bytes(data[:8], "little")
    with suppress(ValueError, RecursionError):
        head = _json(json.loads(data[8 : 8 + length]), random)
        return len(head).to_bytes(8, "little") + head + data[8 + length :]
    return _bytes(data, random)

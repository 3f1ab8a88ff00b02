"""Checks of a loss's inputs, shared so that one mistake gives one message everywhere.

Each check returns its input in the form that losses read, or raises a UserError of one sentence.
"""

import hashlib
import math
import operator
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kontrast.core.embeddings import exact
from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.ranks import Ranks

# Label of a row without a known class, which is never a positive; None and NaN become it.
UNKNOWN = -1


def number(
    value: Any,
    name: str,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    hint: str = "",
) -> Any:
    """A finite number within bounds.

    Args:
        value: A Python or NumPy number, or a tensor with one entry (which keeps its gradient).
        name: What the caller calls it, with the loss in front where that helps ("arcface: margin").
        above: Exclusive lower bound.
        least: Inclusive lower bound.
        below: Exclusive upper bound.
        most: Inclusive upper bound.
        hint: What to do, appended to the message.

    Returns:
        A float, or a tensor of shape ().

    Raises:
        UserError: not one finite number within the bounds.
    """
    bounds = [
        (above, operator.gt, "above"), (least, operator.ge, "of at least"),
        (below, operator.lt, "below"), (most, operator.le, "of at most"),
    ]  # fmt: skip
    words = " and ".join(f"{word} {bound:g}" for bound, _, word in bounds if bound is not None)
    expected = " ".join(["a finite number", *([words] if words else [])]) + hint
    if isinstance(value, Tensor):
        if value.numel() != 1 or value.is_complex() or value.dtype == torch.bool:
            raise UserError(f"{name} is a tensor {tuple(value.shape)} of {_dtype(value)}; expected {expected}.")
        plain, made = value.detach().item(), value.reshape(())
    elif isinstance(value, Real) and not isinstance(value, bool | np.bool_):
        plain, made = _plain(value), _plain(value)
    else:
        raise UserError(f"{name}={_short(value)}; expected {expected}.")
    if not math.isfinite(plain) or not all(holds(plain, bound) for bound, holds, _ in bounds if bound is not None):
        raise UserError(f"{name}={plain:g}; expected {expected}.")
    return made


def temperature(value: Any, name: str = "temperature") -> Any:
    """A number above 0, or a tensor with one entry, which keeps its gradient."""
    return number(value, name, above=0)


def whole(value: Any, name: str, *, least: int | None = None, most: int | None = None) -> int:
    """An integer within bounds."""
    span = "".join(f" of at {word} {bound}" for word, bound in (("least", least), ("most", most)) if bound is not None)
    fits = isinstance(value, Integral) and not isinstance(value, bool | np.bool_)
    found = int(value) if fits else 0
    if not fits or (least is not None and found < least) or (most is not None and found > most):
        raise UserError(f"{name}={_short(value)}; expected a whole number{span}.")
    return found


def choice(value: Any, name: str, known: Sequence[str]) -> Any:
    """One of the known names."""
    if not isinstance(value, str) or value not in known:
        there = ", ".join(f"'{one}'" for one in known)
        guess = did_you_mean(value, known) if isinstance(value, str) else ";"
        guess = guess if guess.startswith("; did you mean") else ";"
        raise UserError(f"{name}={_short(value)}{guess} expected one of {there}.")
    return value


def flag(value: Any, name: str) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise UserError(f"{name}={_short(value)}; expected True or False.")
    return bool(value)


def embeddings(z: Any, name: str = "z", *, width: int | None = None, of: str = "(rows, width)") -> Tensor:
    """A floating-point tensor (N, D); without rows only if there are other ranks.

    Args:
        z: The caller's input.
        name: What the caller calls it.
        width: The D it must have; None: any.
        of: Meaning of its two axes, for the message.

    Raises:
        UserError: no tensor, no floating-point numbers, another shape, or no rows.
    """
    if not isinstance(z, Tensor):
        raise UserError(f"{name} is {_kind(z)}; expected a tensor {of}. torch.as_tensor makes one.")
    if z.ndim != 2 or not z.shape[1]:
        raise UserError(f"{name} is a tensor {tuple(z.shape)}; expected {of}.")
    if not z.is_floating_point():
        raise UserError(f"{name} is a tensor of {_dtype(z)}; expected floating-point numbers, as {name}.float() gives.")
    if width is not None and z.shape[1] != width:
        raise UserError(f"{name} has width {z.shape[1]}; expected {width}, the width of what it is compared with.")
    some(len(z))
    return z


def some(rows: int) -> None:
    """Refuses a batch without rows, unless other ranks may have some."""
    if not rows and Ranks().world == 1:
        raise UserError("an empty batch: no rows to compare; expected at least one. Skip a step that has none.")


def aligned(**named: Any) -> None:
    """Checks that aligned embeddings have one shape and one device."""
    for name, z in named.items():
        embeddings(z, name)
    _alike(named, "(rows, width), row k of each the same sample")


def labels(given: Any, z: Tensor, name: str = "labels", *, classes: int | None = None) -> Tensor:
    """The class of each row as an integer; -1 if it is unknown.

    Args:
        given: (N,) tensor, array or sequence of integers, bools, whole floats or strings; None, NaN and -1 are unknown.
            A string becomes its hash, which is the same in every process.
        z: (N, D) embeddings that the labels belong to.
        name: What the caller calls them.
        classes: Number of classes if labels are used as indices: then 0 to classes - 1, and no strings.

    Returns:
        (N,) int64, on the device of z.

    Raises:
        UserError: another shape, numbers with a fraction, or a class outside of `classes`.
    """
    found = _column(given, len(z), name, "one class per row")
    if isinstance(found, np.ndarray) and found.dtype.kind in "OUS":
        found = _hashed(found, name, classes)
    y = _tensor(found, name, "classes: whole numbers or names")
    if y.is_floating_point():
        y = torch.where(y.isnan(), UNKNOWN, y)
        if bool((y != y.round()).any() | y.isinf().any()):
            odd = y[(y != y.round()) | y.isinf()][0].item()
            raise UserError(f"{name} hold {odd:g}; expected classes: whole numbers or names. For a number, take rnc.")
    y = y.to(z.device, torch.int64)
    if classes is not None and len(y) and not UNKNOWN <= int(y.min()) <= int(y.max()) < classes:
        span = f"{name} from {int(y.min())} to {int(y.max())} for {classes} classes"
        raise UserError(f"{span}; expected 0 to {classes - 1}, or {UNKNOWN} where the class is unknown.")
    return y


def slots(given: Any, z: Tensor, name: str, samples: int | None = None) -> Tensor:
    """Sample number of each row, (N,) int64; below `samples` if it indexes a memory."""
    ids = labels(given, z, name)
    if samples is not None and len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < samples:
        span = f"{name} from {int(ids.min())} to {int(ids.max())} for a memory of {samples} samples"
        raise UserError(f"{span}; expected 0 to {samples - 1}.")
    return ids


def amounts(given: Any, z: Tensor, name: str, *, unknown: bool = False) -> Tensor:
    """One finite number per row, (N,) float64; NaN only if `unknown` allows it."""
    found = _column(given, len(z), name, "one number per row")
    y = exact(_numeric(found, name, "numbers").to(z.device))
    if not unknown and y.isnan().any():
        raise UserError(f"{name} hold NaN; expected finite numbers. Leave out the rows that have none.")
    if y.isinf().any():
        raise UserError(f"{name} hold an infinity; expected finite numbers.")
    return y


def table(given: Any, z: Tensor, name: str, *, binary: bool = False) -> Tensor:
    """Label shares of each row, (N, C); a row of zeros is unknown.

    Args:
        given: (N, C) numbers.
        z: (N, D) embeddings that the shares belong to.
        name: What the caller calls them.
        binary: Allow only 0 and 1.

    Raises:
        UserError: another shape, a negative or infinite share, or a number other than 0 and 1 if `binary`.
    """
    of = "0 and 1 per label" if binary else "the share of each class"
    array = given if isinstance(given, Tensor) else _array(given, name)
    if array.ndim != 2 or len(array) != len(z) or not array.shape[1]:
        one = "" if array.ndim != 1 else " torch.nn.functional.one_hot turns classes into them."
        found = f"{name} have shape {tuple(array.shape)} for {len(z)} rows"
        raise UserError(f"{found}; expected ({len(z)}, classes), {of}.{one}")
    y = _numeric(array, name, of).to(z.device)
    y = y if y.is_floating_point() else y.float()
    if binary and bool(((y != 0) & (y != 1)).any()):
        raise UserError(f"{name} hold {y[(y != 0) & (y != 1)][0].item():g}; expected 0 and 1.")
    if not bool(((y >= 0) & (y < torch.inf)).all()):
        raise UserError(f"{name} hold {y[~((y >= 0) & (y < torch.inf))][0].item():g}; expected {of}, at least 0.")
    return y


def centres(given: Any, z: Tensor, name: str, *, per: str = "class") -> Tensor:
    """One vector per class or queue slot, (C, D), as wide as the embeddings."""
    if not isinstance(given, Tensor) or given.ndim != 2 or not len(given) or not given.is_floating_point():
        found = f"a tensor {tuple(given.shape)} of {_dtype(given)}" if isinstance(given, Tensor) else _kind(given)
        raise UserError(f"{name} is {found}; expected floating-point numbers (C, width), one row per {per}.")
    if given.shape[1] != z.shape[1]:
        raise UserError(f"{name} has width {given.shape[1]}, embeddings {z.shape[1]}; expected one width.")
    return given


def answers(named: dict[str, Any], *, steps: bool = False) -> None:
    """Checks scores of answers: (N,) of one shape, or (N, T) if `steps`."""
    of = "(pairs,) or (pairs, steps)" if steps else "(pairs,)"
    for name, x in named.items():
        if not isinstance(x, Tensor):
            raise UserError(f"{name} is {_kind(x)}; expected a tensor {of}.")
        if x.ndim != 1 and not (steps and x.ndim == 2 and x.shape[1]):
            raise UserError(f"{name} is a tensor {tuple(x.shape)}; expected {of}, one number per answer.")
        if x.is_complex() or x.dtype == torch.bool:
            raise UserError(f"{name} is a tensor of {_dtype(x)}; expected numbers.")
        some(len(x))
    _alike(named, f"{of}, entry k of each of pair k")


def outputs(given: Any, name: str) -> list[Tensor]:
    """Several views of one batch: a sequence of tensors (N, K) of one shape."""
    if isinstance(given, Tensor) or not isinstance(given, Sequence) or not len(given):
        raise UserError(f"{name} is {_kind(given)}; expected a list of tensors (rows, outputs), one per view.")
    for n, x in enumerate(given):
        embeddings(x, f"{name}[{n}]", of="(rows, outputs)")
    _alike({f"{name}[{n}]": x for n, x in enumerate(given)}, "one shape (rows, outputs) for every view")
    return list(given)


def tokens(**named: Tensor) -> None:
    """Checks numbers of tokens: 0 or more."""
    for name, length in named.items():
        if not bool((length >= 0).all()):
            raise UserError(f"{name} holds {length.min().item():g}; expected numbers of tokens, 0 or more.")


def offset(given: Any, outputs: int, name: str) -> Any:
    """An offset of every row of scores: a number, or a tensor (outputs,)."""
    if not isinstance(given, Tensor) or given.numel() == 1:
        return number(given, name, hint=f", or a tensor ({outputs},) of them")
    if given.shape not in ((outputs,), (1, outputs)):
        raise UserError(f"{name} has shape {tuple(given.shape)}; expected a number or ({outputs},), one per output.")
    return given


def _alike(named: dict[str, Tensor], expected: str) -> None:
    if len({x.shape for x in named.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(x.shape)}" for name, x in named.items())
        raise UserError(f"{shapes}; expected one shape, {expected}.")
    if len({x.device for x in named.values()}) > 1:
        places = ", ".join(f"{name} on {x.device}" for name, x in named.items())
        raise UserError(f"{places}; expected one device.")


def _column(given: Any, rows: int, name: str, per: str) -> Tensor | np.ndarray:
    """An array with one entry per row."""
    found = given if isinstance(given, Tensor) else _array(given, name)
    if found.shape != (rows,):
        what = f" {name}.squeeze(1) makes it so." if tuple(found.shape) == (rows, 1) else ""
        raise UserError(f"{name} have shape {tuple(found.shape)} for {rows} rows; expected ({rows},), {per}.{what}")
    return found


def _array(given: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        words = f"expected a tensor, an array or a list, with one entry per row, not {_kind(given)} ({error})"
        raise UserError(f"{name} cannot be read as one array: {words}.") from error


def _hashed(found: np.ndarray, name: str, classes: int | None) -> np.ndarray:
    """Integers for names; None and NaN become unknown."""
    entries = found.tolist()
    missing = [one is None or (isinstance(one, float) and math.isnan(one)) for one in entries]
    there = [one for one, gone in zip(entries, missing, strict=True) if not gone]
    if all(isinstance(one, Real) for one in there):
        values = [UNKNOWN if gone else one for one, gone in zip(entries, missing, strict=True)]
        return np.asarray(values, dtype=np.float64 if any(isinstance(v, float) for v in values) else np.int64)
    odd = next((one for one in there if not isinstance(one, str | bytes)), None)
    if odd is not None:
        raise UserError(f"{name} hold {_kind(odd)}; expected classes: all whole numbers, or all names.")
    if classes is not None:
        raise UserError(f"{name} are names ({_short(there[0])}); expected class numbers from 0 to {classes - 1}.")
    number_of = {one: _hash(one) for one in set(there)}
    return np.asarray([UNKNOWN if gone else number_of[one] for one, gone in zip(entries, missing, strict=True)])


def _hash(name: str | bytes) -> int:
    digest = hashlib.blake2b(name if isinstance(name, bytes) else name.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "little") >> 1  # never negative, so never UNKNOWN


def _numeric(found: Tensor | np.ndarray, name: str, expected: str) -> Tensor:
    if isinstance(found, np.ndarray) and found.dtype.kind == "O":
        try:
            found = found.astype(np.float64)  # None becomes NaN
        except (ValueError, TypeError) as error:
            raise UserError(f"{name} hold no numbers throughout; expected {expected}.") from error
    return _tensor(found, name, expected)


def _tensor(found: Tensor | np.ndarray, name: str, expected: str) -> Tensor:
    """Numbers as a tensor that does not share memory with an array."""
    if isinstance(found, Tensor):
        if found.is_complex():
            raise UserError(f"{name} are of {_dtype(found)}; expected {expected}.")
        return found.detach()
    if found.dtype.kind not in "fiub":
        raise UserError(f"{name} are of {found.dtype}; expected {expected}.")
    kept = {"f": np.float64, "b": np.bool_}.get(found.dtype.kind, np.int64)
    return torch.from_numpy(found.astype(kept))  # a copy, whatever the strides and the byte order


def _plain(value: Real) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _dtype(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def _kind(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _short(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return f"an array {tuple(value.shape)}"
    words = repr(value)
    return words if len(words) <= 40 else words[:37] + "..."

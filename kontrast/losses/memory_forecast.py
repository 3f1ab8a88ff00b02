"""Forecast of a loss's memory, as one matrix and in tiles, from a small measured problem."""

import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from kontrast.core.embeddings import Embeddings, Keys
from kontrast.core.errors import UserError
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernel import Kernel
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relation import Distinct, Relation, named
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.tile_weights import tiles, usual

# The small problem: wide enough that a row's matrices outweigh its sums, small enough for a few tenths of a second.
ANCHORS, CANDIDATES = 32, 1024


@dataclass(frozen=True)
class LossPlan:
    """Bytes at the peak of forward and backward, embeddings excluded, their gradients included.

    Attributes:
        whole: With plain autograd over the whole matrix.
        tiled: With `contrast`, in tiles of `rows` anchors.
        rows: Anchors per tile.
        tile: Numbers per tile, for `contrast(tile=)`.
        one: Whether that tile is the whole matrix.
    """

    whole: int
    tiled: int
    rows: int
    tile: int
    one: bool

    @property
    def words(self) -> str:
        """Sentence for a screen."""
        if self.one:
            return f"loss in one piece: {_size(self.tiled)}"
        return f"loss in tiles of {self.rows:,} rows: {_size(self.tiled)} instead of {_size(self.whole)}"


def forecast(
    anchors: int,
    candidates: int,
    width: int,
    *,
    loss: ContrastiveLoss | None = None,
    relation: Relation | None = None,
    keys: Keys | None = None,
    kernel: Kernel | None = None,
    stack: int = 1,
    available: int | None = None,
) -> LossPlan:
    """Memory of a loss between given numbers of rows, and the tiles that `contrast` picks.

    What goes both ways from one matrix (`losses.engine.symmetric`: NT-Xent, CLIP) needs less than this. If memory runs
    out, `contrast` makes its tiles smaller by itself.

    Args:
        anchors: Number of anchors.
        candidates: Number of candidates.
        width: Of the embeddings.
        loss: InfoNCE by default.
        relation: `SameKey("id")` by default.
        keys: Example keys, (n,) or (n, C) each, for a relation that reads more than id and view: the share of positives
            decides how they are stored.
        kernel: Cosine by default.
        stack: Number of problems of this size that run at once.
        available: Bytes; tiles are made smaller if they would not fit.

    Raises:
        UserError: The relation reads keys that `keys` lacks.

    Example:
        >>> forecast(16_384, 16_384, 128).words
        'loss in tiles of 128 rows: 51 MB instead of 3.0 GB'
    """
    loss, relation, kernel = loss or InfoNCE(), relation or SameKey("id"), kernel or Cosine()
    probe = _Probe(loss, relation, _example(keys))
    probe.check()
    narrow, _ = probe.engine(ANCHORS, CANDIDATES, 2, Dot(), rows=1)
    wider, widest = (probe.engine(ANCHORS, CANDIDATES, 2, Dot(), rows=r)[0] for r in (8, 16))
    number = (widest - wider) / (8 * CANDIDATES)  # with smaller tiles something else is the peak
    plain = (probe.plain() - narrow) / (ANCHORS * CANDIDATES)  # bytes per number of the matrix; `number`: of a tile
    n = max(1, CANDIDATES * anchors // max(anchors + candidates, 1))  # a thousand rows in the true proportion
    m = CANDIDATES - n + 1
    forth, back = probe.engine(n, m, width, kernel, rows=16)
    share = stack * (anchors + candidates) / (n + m)
    beside, after = (forth - number * 16 * m) * share, back * share
    numbers = stack * anchors * candidates
    tile = min(usual(candidates), numbers)
    if available is not None:
        tile = min(tile, max(candidates, int((available - beside) / number)))
    rows = max(1, min(stack * anchors, tile // max(candidates, 1)))
    tiled = max(after, beside + number * rows * candidates)
    return LossPlan(round(beside + plain * numbers), round(tiled), rows, tile, one=tile == numbers)


def _example(keys: Keys | None) -> Keys:
    """Keys of the small problem's candidates; given keys are repeated, which keeps the share of positives."""
    at = torch.arange(CANDIDATES)
    given = {name: key.detach().cpu()[at % len(key)] for name, key in (keys or {}).items()}
    return {"id": at, "view": torch.zeros_like(at), **given}


@dataclass(frozen=True)
class _Probe:
    """Measures the small problem."""

    loss: ContrastiveLoss
    relation: Relation
    keys: Keys

    def check(self) -> None:
        """Refuses a relation that reads keys without an example."""
        try:
            self.relation.weights(self.keys, self.keys)
        except KeyError as missing:
            raise UserError(f"forecast: {self.relation} reads the key {missing}; give some rows' `keys`.") from missing

    def engine(self, n: int, m: int, width: int, kernel: Kernel, *, rows: int) -> tuple[int, int]:
        """Peak bytes of `contrast` with n anchors and m candidates in tiles of `rows`, and of its backward."""
        a, c = self._rows(n, width), self._rows(m, width)
        with AliveBytes() as alive, torch.enable_grad():
            mean = contrast(a, c, self.relation, loss=self.loss, kernel=kernel, tile=rows * m)
            forth, alive.most = alive.most, alive.now
            torch.autograd.grad(mean.total, [a.z, c.z])
        return forth, alive.most

    def plain(self) -> int:
        """Peak bytes of plain autograd over the whole matrix, for embeddings of width 2."""
        a, c = self._rows(ANCHORS, 2), self._rows(CANDIDATES, 2)
        left, right = ({name: key[None] for name, key in named(one).items()} for one in (a, c))
        shape = (1, ANCHORS, CANDIDATES)
        with AliveBytes() as alive, torch.enable_grad():
            (t,) = tiles(self.relation & Distinct(), left, right, shape, a.z.dtype, ANCHORS * CANDIDATES)
            each = self.loss.per_anchor((a.z @ c.z.mT)[None], t.positives, t.candidates)
            counts = self.loss.counted(t.positives, t.candidates)
            torch.autograd.grad((each * counts).sum(), [a.z, c.z])
        return alive.most

    def _rows(self, n: int, width: int) -> Embeddings:
        z = torch.randn(n, width, generator=torch.Generator().manual_seed(n)).requires_grad_()
        return Embeddings(z, {name: key[:n] for name, key in self.keys.items()} | {"view": torch.arange(n) * 0 + n})


class AliveBytes(TorchDispatchMode):
    """Largest number of bytes alive at once, of tensors created while it watches."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.most = 0, 0
        self.seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Records the storage of each output tensor."""
        out = func(*args, **(kwargs or {}))
        for t in out if isinstance(out, tuple | list) else (out,):
            if isinstance(t, Tensor):
                self._note(t.untyped_storage())
        return out

    def _note(self, storage: torch.UntypedStorage) -> None:
        name, size = storage._cdata, storage.nbytes()
        if name not in self.seen:
            self.seen.add(name)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._forget, name, size)

    def _forget(self, name: int, size: int) -> None:
        self.seen.discard(name)
        self.now -= size


def _size(n: int) -> str:
    for unit, of in (("GB", 1e9), ("MB", 1e6)):
        if n >= of:
            return f"{n / of:.1f} {unit}" if n < 10 * of else f"{n / of:,.0f} {unit}"
    return f"{n / 1e3:.0f} KB"

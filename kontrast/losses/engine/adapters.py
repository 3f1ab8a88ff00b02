"""Shared steps of losses on plain tensors: tensors become Embeddings, LossTerms become one scalar."""

from collections.abc import Mapping

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.normalize import unit
from kontrast.core.ranks import Ranks
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.reduction import reduced
from kontrast.losses.kernel import Kernel


def rows(z: Tensor, keys: Mapping[str, Tensor] | None = None, *, view: int = 0) -> Embeddings:
    """Embeddings from a tensor (N, D), with ids that are unique over all ranks.

    Args:
        z: (N, D) embeddings.
        keys: Keys of the rows, (N, ...) each. An `id` among them replaces the generated ids; each row is then a view of
            its own.
        view: Number of the view. Rows i of two calls with different views are one sample.

    Raises:
        UserError: z is no matrix of embeddings, or a key has another number of rows.
    """
    input_checks.embeddings(z)
    for name, key in (keys or {}).items():
        if len(key) != len(z):
            raise UserError(f"{name} has {len(key)} rows for {len(z)} embeddings; expected one per row.")
    if keys and "id" in keys:
        return Embeddings(z, {"view": _nth(keys["id"]), **keys})
    own = torch.arange(len(z), device=z.device) + (Ranks().rank << 40)
    return Embeddings(z, {"id": own, "view": torch.full_like(own, view), **(keys or {})})


def _nth(ids: Tensor) -> Tensor:
    """Which occurrence of its id each row is, counted over all ranks."""
    ranks = Ranks()
    where = torch.full_like(ids, ranks.rank)
    everyone = gathered(Embeddings(ids[:, None], {"id": ids, "rank": where})).keys
    order = everyone["id"].argsort(stable=True)
    ordered = everyone["id"][order]
    nth = torch.empty_like(order)
    nth[order] = torch.arange(len(order), device=ids.device) - torch.searchsorted(ordered, ordered)
    return nth[everyone["rank"] == ranks.rank]


def views(*z: Tensor) -> Embeddings:
    """Stack of aligned views (N, D) of the same N samples."""
    input_checks.aligned(**{f"z{v}": one for v, one in enumerate(z, 1)})
    return Embeddings.stack(*(rows(one, view=v) for v, one in enumerate(z)))


def fixed(z: Tensor, keys: Mapping[str, Tensor]) -> Embeddings:
    """Rows that are no samples (centres, a queue): negative ids, the same on every rank."""
    ids = -1 - torch.arange(len(z), device=z.device)
    return Embeddings(z, {"id": ids, "view": torch.full_like(ids, -1), **keys})


def gathered(ours: Embeddings) -> Embeddings:
    """The rows of all ranks, with gradient."""
    return Ranks().gather({"z": ours})["z"]


class Tempered(Kernel):
    """Kernel cos(a_i, c_j) / temperature, with a temperature that is not its parameter.

    Args:
        temperature: Above 0; a tensor gets its gradient, although the kernel does not hold it as a parameter.
    """

    def __init__(self, temperature: float | Tensor) -> None:
        super().__init__()
        self.temperature = input_checks.temperature(temperature)

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Both sides on the unit sphere, the anchors divided by the temperature."""
        return unit(a) / self.temperature, unit(c)

    def unit(self) -> float:
        """1 / temperature: the similarity of equal rows."""
        return 1 / float(torch.as_tensor(self.temperature).detach())

    def alike(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Rows on the unit sphere, and the factor 1 / temperature."""
        return unit(z), torch.as_tensor(1 / self.temperature, dtype=z.dtype, device=z.device)


class Folded(Kernel):
    """Inner product of rows already divided by their temperature.

    Args:
        one: What a cosine of 1 becomes; miners need it.
    """

    def __init__(self, one: float) -> None:
        super().__init__()
        self.one = one

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Both sides unchanged."""
        return a, c

    def unit(self) -> float:
        """The similarity of equal rows, `one`."""
        return self.one


def reduce_terms(**terms: LossTerm) -> Tensor:
    """One tensor from several loss terms, by the current reduction.

    Returns:
        "mean": the sum of the terms' global means, scaled so that DDP's average of gradients is its gradient. "sum" and
        "none": see `reduction.reduced`.

    Raises:
        UserError: nothing to compare in this batch, on any rank.
    """
    try:
        return reduced(Ranks(), terms)
    except ValueError as nothing:
        raise UserError(str(nothing)) from nothing

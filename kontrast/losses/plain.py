"""What losses on plain tensors share: tensors become rows that no rank confuses, Means become one scalar."""

from collections.abc import Mapping

import torch
from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.core.rows import Mean, Rows
from kontrast.layers.unit import unit, wide


def rows(z: Tensor, keys: Mapping[str, Tensor] | None = None, *, view: int = 0) -> Rows:
    """(N, D) as rows with ids of their own, different on every rank, unless `keys` brings an `id`.

    Rows i of two views drawn with other `view` are one sample; where `keys` brings the ids, each row is a view of its
    own.
    """
    if z.ndim != 2:
        raise UserError(f"a loss on plain tensors takes embeddings (rows, width); found a tensor {tuple(z.shape)}.")
    for name, key in (keys or {}).items():
        if len(key) != len(z):
            raise UserError(f"{len(z)} embeddings, but '{name}' has {len(key)} entries; expected one a row.")
    if keys and "id" in keys:
        return Rows(z, {"view": _nth(keys["id"]), **keys})
    own = torch.arange(len(z), device=z.device) + (Ranks().rank << 40)
    return Rows(z, {"id": own, "view": torch.full_like(own, view), **(keys or {})})


def _nth(ids: Tensor) -> Tensor:
    """Which occurrence of its id each row is, counted over all ranks, so that no two rows bear one name."""
    ranks = Ranks()
    where = torch.full_like(ids, ranks.rank)
    everyone = gathered(Rows(ids[:, None], {"id": ids, "rank": where})).keys
    order = everyone["id"].argsort(stable=True)
    ordered = everyone["id"][order]
    nth = torch.empty_like(order)
    nth[order] = torch.arange(len(order), device=ids.device) - torch.searchsorted(ordered, ordered)
    return nth[everyone["rank"] == ranks.rank]


def views(*z: Tensor) -> Rows:
    """Aligned views (N, D) of the same N samples, stacked."""
    if len({one.shape for one in z}) > 1:
        raise UserError(f"views of the same samples have one shape; found {', '.join(str(tuple(v.shape)) for v in z)}.")
    return Rows.stack(*(rows(one, view=v) for v, one in enumerate(z)))


def fixed(z: Tensor, keys: Mapping[str, Tensor]) -> Rows:
    """Rows that are no samples (centres, a queue): ids below zero, the same on every rank."""
    ids = -1 - torch.arange(len(z), device=z.device)
    return Rows(z, {"id": ids, "view": torch.full_like(ids, -1), **keys})


def gathered(ours: Rows) -> Rows:
    """The rows of all ranks, with gradient."""
    return Ranks().gather({"z": ours})["z"]


def sphere(z: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
    """Unit vectors over a temperature, which may be learned."""
    return unit(wide(z)) / temperature


def settle(**terms: Mean) -> Tensor:
    """The sum of the terms' global means, scaled so that DDP's average of gradients is its gradient."""
    return Ranks().divide(terms)[0]

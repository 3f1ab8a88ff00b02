"""Test inputs: small random rows with all keys, and weights in every form."""

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings
from kontrast.losses.relation import Relation
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.soft import Soft
from kontrast.losses.relations.within_group import WithinGroup
from kontrast.losses.tile_weights import Weights

SHAPE = (2, 7, 11)
FORMS = ("dense", "listed")
# Listed weights; positives that are no candidates; weights that cannot be listed; weights other than 0 and 1.
RELATIONS: dict[str, Relation] = {
    "listed": SameKey("id") & ExcludeDuplicates("content"),
    "apart": SameKey("label", apart=True),
    "dense": SameKey("label") & WithinGroup("group"),
    "soft": Soft("soft"),
}


def rows_of(n: int = 20, width: int = 5, seed: int = 0) -> Embeddings:
    """Two views of n samples, (2n, width) in float64 with gradient.

    Some samples have equal content, some are alone in their class.
    """
    g = torch.Generator().manual_seed(seed)
    ids = torch.arange(n).repeat(2)
    label = torch.randint(0, 15, (n,), generator=g).repeat(2)
    keys = {
        "id": ids,
        "view": torch.arange(2).repeat_interleave(n),
        "label": label,
        "group": label % 2,
        "content": torch.where(ids < 4, ids // 2, ids),
        "soft": torch.rand(2 * n, 4, generator=g, dtype=torch.float64),
        "score": torch.arange(2 * n) * 7 % 9,
    }
    return Embeddings(torch.randn(2 * n, width, generator=g, dtype=torch.float64, requires_grad=True), keys)


def similarity() -> Tensor:
    """Distinct similarities within (-0.95, 0.95).

    The ends are left out, because some losses have an infinite slope there.
    """
    g = torch.Generator().manual_seed(1)
    return torch.randn(SHAPE, generator=g, dtype=torch.float64).tanh() * 0.95


def weights_of(form: str, seed: int = 0) -> tuple[Weights, Weights]:
    """Weights of positives and candidates in one form; one anchor has no positive."""
    g = torch.Generator().manual_seed(seed)
    P = ((torch.rand(SHAPE[1:], generator=g) < 0.25) * torch.rand(SHAPE[1:], generator=g)).double()
    P[0] = 0
    P[1:, 0] = 0.5
    Q = (torch.rand(SHAPE[1:], generator=g) < 0.8).double()
    Q[:, 0], Q[:, 1], P[:, 1] = 1, 1, 0  # each anchor has a positive and a negative
    if form == "dense":
        return Weights(SHAPE, P[None]), Weights(SHAPE, Q[None].bool())
    listed, missing = ((i, j) for i, j in (w.nonzero(as_tuple=True) for w in (P, Q == 0)))
    return Weights(SHAPE, P[listed], listed, 0), Weights(SHAPE, Q[missing], missing, 1)

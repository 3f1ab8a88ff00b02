"""Parts of a method, built by name: its loss, kernel and relation."""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

import torch
from torch import Tensor

from kontrast.core import factory, registry
from kontrast.core.choice import Choice
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.losses.alignment_loss import AlignmentLoss
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.kernel import Kernel
from kontrast.losses.relation import Relation
from kontrast.losses.relation_json import relation_from_json

LossChoice = Annotated[Choice, "losses"]
KernelChoice = Annotated[Choice, "kernels"]
RelationChoice = dict | str

SAMPLE: RelationChoice = {"name": "same_key", "key": "id"}
LABEL: RelationChoice = {"name": "same_key", "key": "label"}
# Keys that the step itself makes; all others are targets that a column must provide.
_OWN = ("id", "view", "row")


def contrast_loss(chosen: Choice, *, temperature: float) -> ContrastiveLoss:
    """A contrastive loss by name, given the temperature if its constructor asks for one.

    Raises:
        UserError: the loss has another contract; the message names the recipes that take it.
    """
    made = factory.build("losses", chosen.name, chosen.settings, given={"temperature": temperature})
    if not isinstance(made, ContrastiveLoss):
        takes = (
            "; the method 'alignment' takes it, for example --recipe vicreg" if isinstance(made, AlignmentLoss) else ""
        )
        raise UserError(f"loss '{chosen.name}' is no contrastive loss, which compares anchors with candidates{takes}.")
    return made


def alignment_loss(chosen: Choice) -> AlignmentLoss:
    """An alignment loss by name.

    Raises:
        UserError: the loss has another contract.
    """
    made = factory.build("losses", chosen.name, chosen.settings)
    if not isinstance(made, AlignmentLoss):
        raise UserError(
            f"loss '{chosen.name}' is no alignment loss, which needs only the two views; the methods 'simclr' and "
            "'clip' may take it."
        )
    return made


def kernel_of(chosen: Choice, *, temperature: float, width: int) -> Kernel:
    """A kernel by name, given temperature and width if its constructor asks for them."""
    given = {"temperature": temperature, "width": width}
    return factory.build("kernels", chosen.name, chosen.settings, given=given)


def relation_of(written: RelationChoice) -> Relation:
    """A relation from its name, or from {"name": ..., its settings}."""
    return relation_from_json(written)


def targets_of(relation: Relation) -> frozenset[str]:
    """Keys that the relation reads and that columns of the data must provide."""
    return frozenset(k for k in relation.reads() if k not in _OWN and not k.startswith(("has ", "content ")))


def known(rows: Embeddings, needs: Collection[str]) -> Embeddings:
    """Rows whose numeric targets are known; others can neither be ranked nor rank others."""
    numbers = [key for name in needs if (key := rows.keys[name]).is_floating_point() and key.ndim == 1]
    here = torch.stack([~key.isnan() for key in numbers]).all(0) if numbers else None
    return rows if here is None or bool(here.all()) else rows[here]


def where_present(embed: Callable[[Tensor], Tensor], x: Tensor, here: Tensor, width: int, *, together: bool) -> Tensor:
    """Embeddings of the rows that have a field, zeros for the others.

    The encoder never sees rows without the field.

    Args:
        embed: Embeds rows of the field, (n, ...) -> (n, width).
        x: (B, ...) all rows.
        here: (B,) bool, which rows have the field.
        width: Width of the embeddings.
        together: Whether other ranks call the same encoder in step; it is then called without rows too.

    Returns:
        (B, width).
    """
    at = here.nonzero()[:, 0]
    if len(at) == len(here):
        return embed(x)
    blank = torch.zeros(len(here), width, device=here.device)
    if not len(at) and not together:
        return blank
    z = embed(x[at])
    return blank.index_put((at,), z.to(blank.dtype))


def having_both(one: Embeddings, two: Embeddings, fields: Collection[str]) -> tuple[Embeddings, Embeddings]:
    """Aligned rows of two views that have all of these fields."""
    here = torch.stack([one.keys[f"has {field}"] for field in fields]).all(0)
    return (one, two) if bool(here.all()) else (one[here], two[here])


def usual_settings(name: str) -> Mapping[str, Any]:
    """Kernel and temperature that belong to a loss by default; empty for other contracts."""
    made = registry.load("losses", name)
    return made.usual if issubclass(made, ContrastiveLoss) else {}

"""The parts that a method is put together from by name: its loss, its kernel, its relation."""

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
# Keys that a step makes itself; all others are targets that a column must give.
_OWN = ("id", "view", "row")


def contrast_loss(chosen: Choice, *, temperature: float) -> ContrastiveLoss:
    """A loss under the contract `ContrastiveLoss`; it is given the temperature if it asks for one.

    Raises:
        UserError: the loss is of another contract, and which recipes take it.
    """
    made = factory.build("losses", chosen.name, chosen.settings, given={"temperature": temperature})
    if not isinstance(made, ContrastiveLoss):
        takes = "; the method 'alignment' takes it: --recipe vicreg, say" if isinstance(made, AlignmentLoss) else ""
        raise UserError(f"loss '{chosen.name}' does not compare an anchor with candidates{takes}.")
    return made


def alignment_loss(chosen: Choice) -> AlignmentLoss:
    """A loss under the contract `AlignmentLoss`.

    Raises:
        UserError: the loss is of another contract.
    """
    made = factory.build("losses", chosen.name, chosen.settings)
    if not isinstance(made, AlignmentLoss):
        raise UserError(
            f"loss '{chosen.name}' does not align two views alone; the methods 'simclr' and 'clip' may take it."
        )
    return made


def kernel_of(chosen: Choice, *, temperature: float, width: int) -> Kernel:
    """A kernel; it is given the temperature and the width of the embeddings if it asks for them."""
    given = {"temperature": temperature, "width": width}
    return factory.build("kernels", chosen.name, chosen.settings, given=given)


def relation_of(written: RelationChoice) -> Relation:
    """A relation from its name, or from {"name": ..., its fields}."""
    return relation_from_json(written)


def targets_of(relation: Relation) -> frozenset[str]:
    """The keys of a relation that columns of the data must give."""
    return frozenset(k for k in relation.reads() if k not in _OWN and not k.startswith(("has ", "content ")))


def known(rows: Embeddings, needs: Collection[str]) -> Embeddings:
    """The rows whose target numbers are known; a row without one can neither be ranked nor rank others."""
    numbers = [key for name in needs if (key := rows.keys[name]).is_floating_point() and key.ndim == 1]
    here = torch.stack([~key.isnan() for key in numbers]).all(0) if numbers else None
    return rows if here is None or bool(here.all()) else rows[here]


def where_present(embed: Callable[[Tensor], Tensor], x: Tensor, here: Tensor, width: int, *, together: bool) -> Tensor:
    """The embeddings of the rows that have a field, zeros for the others, which no encoder sees.

    Args:
        embed: What turns rows of the field into embeddings, (n, ...) -> (n, width).
        x: (B, ...) all rows.
        here: (B,) bool, which of them have the field.
        width: Of the embeddings.
        together: Whether other ranks call the same encoder in step, so that it is called for no row too.
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
    """The aligned rows of two views that have all of these fields."""
    here = torch.stack([one.keys[f"has {field}"] for field in fields]).all(0)
    return (one, two) if bool(here.all()) else (one[here], two[here])


def usual_settings(name: str) -> Mapping[str, Any]:
    """Kernel and temperature that go with a loss where nobody names them; none for a loss of another contract."""
    made = registry.load("losses", name)
    return made.usual if issubclass(made, ContrastiveLoss) else {}

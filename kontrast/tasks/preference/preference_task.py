"""Shared part of preference tasks: of two fields of a row, one was chosen and the other rejected."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError, did_you_mean
from kontrast.data.view import Batch, Role, View, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.modalities.text.marks import BETWEEN, END, TURN
from kontrast.tasks.task import Task

PROMPT = "prompt"


class PreferenceTask(Task, ABC):
    """A chosen and a rejected field of each row, and a third that both belong to; subclasses score them.

    Args:
        encoders: Facts of the encoders of the fields.
        parts: Part in the comparison -> its field; "chosen" and "rejected" are needed.
        role: Role of the views.

    Raises:
        UserError: a field that the data lacks.
    """

    role: Role
    min_fields = 2
    max_fields = 3
    strength = "light"
    asks = {"turn": TURN}

    def __init__(self, encoders: EncoderInfo, parts: Mapping[str, str], role: Role) -> None:
        super().__init__()
        name = type(self).__name__.lower()
        for part, field in parts.items():
            if field not in encoders.fields:
                raise UserError(
                    f"task '{name}' has no field '{field}'{did_you_mean(field, encoders.fields)}. Found "
                    f"{', '.join(encoders.fields)}; name the one that is meant in the task's setting '{part}'."
                )
        if parts["chosen"] == parts["rejected"]:
            raise UserError(f"task '{name}': '{parts['chosen']}' is both chosen and rejected; expected two fields.")
        self.fields_of, self.role = dict(parts), role

    def views(self) -> dict[str, ViewSpec]:
        """One view of each part, by its name."""
        return {part: ViewSpec(field, self.role) for part, field in self.fields_of.items()}

    def complete(self, rows: Embeddings) -> Tensor:
        """(B,) bool: rows that have every part but a prompt, without which an answer stands alone."""
        needed = [field for part, field in self.fields_of.items() if part != PROMPT]
        return torch.stack([rows.keys[f"has {field}"] for field in needed]).all(0)

    def margins(self, out: Mapping[str, Embeddings]) -> Tensor:
        """By how much the chosen part of each row scores above the rejected one, (B,); NaN for rows that lack one."""
        return self.lead(out).masked_fill(~self.complete(out["chosen"]), torch.nan)

    @abstractmethod
    def lead(self, out: Mapping[str, Embeddings]) -> Tensor:
        """The same for all rows, whatever it is for rows that lack a part."""


def parts_of(encoders: EncoderInfo, chosen: str, rejected: str, prompt: str | None) -> dict[str, str]:
    """Fields by part; a field called prompt is one unless another is named."""
    found = {"chosen": chosen, "rejected": rejected}
    prompt = prompt or (PROMPT if PROMPT in encoders.fields and PROMPT not in (chosen, rejected) else None)
    return {**found, PROMPT: prompt} if prompt else found


def answers(batch: Batch) -> Batch:
    """Both answers with the prompt before them, where it is a field of its own."""
    if PROMPT not in batch.views:
        return batch
    prompt = batch.views[PROMPT]
    before = prompt.data.masked_fill(~batch.keys[f"has {prompt.field}"][:, None] | (prompt.data < 0), END)
    before = F.pad(before, (0, 1), value=BETWEEN)
    made = {part: batch.views[part] for part in ("chosen", "rejected")}
    return Batch({part: View(v.field, torch.cat([before, v.data], 1)) for part, v in made.items()}, batch.keys)


def answer_lengths(x: Tensor) -> Tensor:
    """Number of tokens of each answer: those after the prompt, (B,).

    Args:
        x: (B, L) token ids, -2 between prompt and answer, -1 after the end.
    """
    number = (x == BETWEEN).cumsum(1)
    return ((x >= 0) & (number == number[:, -1:])).sum(1)

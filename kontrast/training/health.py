"""Collapse detection and likely causes, from the embeddings of a batch rather than the loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings

# Rank at the start over rank at the end from which a collapse is claimed of a task that names a cause of its own.
# SimSiam on digits and waves, batches of 32 to 64, 60 to 300 steps: 2.5 to 5.5 as it is, 5.4 to 14 without its
# stop-gradient; the start's rank is at most the rows per step. Without a named cause such a fall means nothing.
FALL = 4.0
ENOUGH = 200  # steps: shorter runs are often no better than their start, and better with more steps


@dataclass(frozen=True)
class Health:
    """Statistics of one batch of embeddings.

    Attributes:
        effective_rank: Exponential of the entropy of the normalised singular values of the centred embeddings.
        width: Dimensions D of the embeddings, the largest possible effective rank.
        spread: Mean standard deviation per dimension of the normalised embeddings, times sqrt(D): 1 if spread evenly
            over
            the sphere, 0 if collapsed to a point.
        alignment: Mean squared distance of positive pairs.
        uniformity: log mean e^(-2 d^2) over pairs at distance d; 0 if collapsed to a point, about -4 at best.
        rows: Rows that the statistics rest on; 0 for tasks without positive pairs, of which no collapse is claimed.

    Reference:
        Roy, Vetterli, EUSIPCO 2007 (effective rank); Wang, Isola, ICML 2020, arXiv:2005.10242 (alignment, uniformity).
    """

    effective_rank: float
    width: int
    spread: float
    alignment: float
    uniformity: float
    rows: int

    @property
    def collapsed(self) -> bool:
        """Whether embeddings are (nearly) identical or on a line, so that retrieval is impossible."""
        if not self.rows:
            return False
        return self.spread < 0.05 or (self.rows >= 16 and self.width >= 8 and self.effective_rank < 1.5)

    @property
    def words(self) -> str:
        """Statistics in one line, for the screen."""
        if not self.rows:
            return "not examined: the task has no positive pairs"
        return (
            f"effective rank {self.effective_rank:.0f} of {self.width} · spread {self.spread:.2f} · "
            f"alignment {self.alignment:.2f} · uniformity {self.uniformity:.1f}"
        )


@torch.no_grad()
def examine(pairs: Sequence[tuple[Embeddings, Embeddings]]) -> Health:
    """Health of aligned pairs of embeddings, from at most 512 rows each.

    Args:
        pairs: Positive pairs: equal rows of both sides belong together.

    Returns:
        The smallest effective rank and spread over the pairs; the mean alignment and uniformity; all zero without a
        pair
        of two rows.
    """
    found = [_examine(one.z[:512].float(), two.z[:512].float()) for one, two in pairs if len(one) > 1]
    if not found:
        return Health(0.0, 0, 0.0, 0.0, 0.0, 0)
    worst = min(found, key=lambda h: h.spread)
    n = len(found)
    alignment, uniformity = sum(h.alignment for h in found) / n, sum(h.uniformity for h in found) / n
    rank = min(h.effective_rank for h in found)
    return Health(rank, worst.width, worst.spread, alignment, uniformity, min(h.rows for h in found))


def _examine(one: Tensor, two: Tensor) -> Health:
    one, two = F.normalize(one, dim=1), F.normalize(two, dim=1)
    both = torch.cat([one, two])
    spread = both.std(0).mean().item() * both.shape[1] ** 0.5
    values = torch.linalg.svdvals(one - one.mean(0))
    share = values / values.sum().clamp_min(1e-12)
    rank = torch.exp(-(share * share.clamp_min(1e-12).log()).sum()).item()
    alignment = (one - two).square().sum(1).mean().item()
    uniformity = torch.pdist(one).square().mul(-2).exp().mean().log().item()
    return Health(rank, one.shape[1], spread, alignment, uniformity, len(one))


def collapse(start: Health | None, end: Health, *, named: bool) -> str:
    """How embeddings have collapsed, as a clause; "" if they have not.

    A norm behind the last layer keeps embeddings from becoming constant: they lose their directions instead. As tasks
    with few classes do that too, it counts only if a task names a cause.

    Args:
        start: Statistics of the first step; None if unknown.
        end: Statistics of the last step.
        named: Whether a task names settings of its own by which embeddings collapse.
    """
    if end.collapsed:
        return "all rows embed alike"
    if named and start and start.rows and end.rows and end.effective_rank < start.effective_rank / FALL:
        return f"embeddings use {end.effective_rank:.0f} directions, {start.effective_rank:.0f} at the start"
    return ""


def too_short(steps: int) -> str:
    """Reason why a run was too short to judge; empty if it was long enough."""
    return "" if steps >= ENOUGH else f"{steps:,} steps are too few to tell, {ENOUGH:,} and more are usual"


def likely_causes(
    *,
    learning_rate: float,
    usual_rate: float,
    weight_decay: float = 0.0,
    temperature: float,
    batch: int,
    twins: float,
    varied: float,
    gradient: float,
    short: str = "",
    own: Sequence[str] = (),
) -> list[str]:
    """Usual causes of a collapse or a standstill, the likeliest first.

    Args:
        learning_rate: Of the run.
        usual_rate: Default of the optimiser.
        weight_decay: Of the run. Default 0.
        temperature: Of the kernel.
        batch: Rows per step.
        twins: Share of candidates that are duplicates.
        varied: Mean standard deviation over rows of the encoder's input; 0 if the augmentations or the data leave
            nothing
            to tell apart.
        gradient: Norm of the last gradient.
        short: Why the run was too short, or "".
        own: Causes that the tasks know of their own settings; they come first. Default none.
    """
    checks = [
        (
            varied < 1e-3,
            "all views look the same to the encoder: constant data, or augmentations that erase all",
        ),
        (twins > 0.5, f"{twins:.0%} of the candidates are duplicates of the anchor and masked"),
        (learning_rate > 3 * usual_rate, f"learning rate {learning_rate:g}, far above the usual {usual_rate:g}"),
        (
            learning_rate * weight_decay > 0.1,
            f"weight decay {weight_decay:g} shrinks the weights by {learning_rate * weight_decay:.0%} a step",
        ),
        (gradient == 0, "no gradient reaches the encoder: every parameter is frozen"),
        (temperature > 1, f"temperature {temperature:g}: above 1 all candidates count nearly alike"),
        (temperature < 0.01, f"temperature {temperature:g}: below 0.01 only the nearest candidate counts"),
        (batch < 16, f"batches of {batch} rows leave few candidates to contrast with"),
        (0 < learning_rate < usual_rate / 30, f"learning rate {learning_rate:g}, far below the usual {usual_rate:g}"),
    ]
    found = [*own, *(words for holds, words in checks if holds)]
    if short:
        return [*found, f"{short}: train longer, or with fewer rows per step"]
    return found or ["no usual cause found: look at the views in the report, and try a lower learning rate"]

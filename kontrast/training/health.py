"""Health: has it collapsed, and what is the likeliest cause. Numbers from the embeddings of a batch, not from the
loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings

ENOUGH = 200  # steps: runs that ended before were often no better than their start, and better with more


@dataclass(frozen=True)
class Health:
    """What the embeddings of one batch look like.

    effective_rank: exp of the entropy of the singular values of the centred embeddings (Roy & Vetterli 2007), of
    `width`. spread: mean standard deviation of an axis of the normalised embeddings, times sqrt(D): 1 evenly over the
    sphere, 0 in a point. alignment: mean squared distance of what ought to be alike; uniformity: log mean e^(-2 d^2)
    over all pairs (Wang and Isola 2020, arXiv:2005.10242), 0 in a point, about -4 at best.
    """

    effective_rank: float
    width: int
    spread: float
    alignment: float
    uniformity: float
    rows: int

    @property
    def collapsed(self) -> bool:
        """All rows embed (nearly) alike, or along a line: no retrieval is possible any more."""
        return self.spread < 0.05 or (self.rows >= 16 and self.width >= 8 and self.effective_rank < 1.5)

    @property
    def words(self) -> str:
        """The numbers on one line, for the screen."""
        return (
            f"effective rank {self.effective_rank:.0f} of {self.width} · spread {self.spread:.2f} · "
            f"alignment {self.alignment:.2f} · uniformity {self.uniformity:.1f}"
        )


@torch.no_grad()
def examine(pairs: Sequence[tuple[Embeddings, Embeddings]]) -> Health:
    """The health of pairs of aligned rows, the worst of them for rank and spread. At most 512 rows of each are looked
    at."""
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


def too_short(steps: int) -> str:
    """Why a run was too short to tell anything from, or ""."""
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
) -> list[str]:
    """What most often stands behind a collapse or a standstill, the likeliest first.

    varied: mean standard deviation over rows of what the encoder was given, 0 when the augmentations or the data leave
    nothing to tell apart. twins: share of the candidates that are duplicates. gradient: norm of the last gradient.
    short: why the run was too short, or "".
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
    found = [words for holds, words in checks if holds]
    if short:
        return [*found, f"{short}: train longer, or with fewer rows per step"]
    return found or ["no usual cause found: look at the views in the report, and try a lower learning rate"]

"""Contrast of the views of a batch, in one call: what most tasks compute."""

from collections.abc import Iterable

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernel import Kernel
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relation import Relation
from kontrast.losses.relations.same_key import SameKey


def between_views(
    views: Iterable[Embeddings],
    ranks: Ranks,
    *,
    temperature: float = 0.2,
    relation: Relation | None = None,
    loss: ContrastiveLoss | None = None,
    kernel: Kernel | None = None,
) -> LossTerm:
    """The loss of all views of this rank against all views of all ranks; by default NT-Xent.

    Args:
        views: Embeddings of each view, (B, D) each, with the keys of their rows.
        ranks: Access to the rows of other ranks.
        temperature: Temperature of the cosine, if no kernel is given.
        relation: Positives and candidates. Default: views of one sample attract.
        loss: How hard. Default: InfoNCE.
        kernel: Similarity of two embeddings. Default: the cosine over `temperature`.

    Returns:
        The sum over anchors, with their count.

    Equation:
        L = sum_i (log sum_(k != i) e^(s_ik / t) - mean_(j positive for i) s_ij / t), s the cosine

    Example:
        >>> import torch
        >>> keys = {"id": torch.arange(4), "view": torch.zeros(4, dtype=torch.long)}
        >>> z = torch.eye(4)
        >>> both = Embeddings(z, keys), Embeddings(z, {**keys, "view": keys["view"] + 1})
        >>> round(float(between_views(both, Ranks(), temperature=1.0).value()), 3)
        1.165
    """
    ours = Embeddings.stack(*views)
    everyone = ranks.gather({"": ours})[""]
    kernel = kernel or Cosine(temperature=temperature).to(ours.z.device)
    return contrast(ours, everyone, relation or SameKey("id"), loss=loss or InfoNCE(), kernel=kernel)

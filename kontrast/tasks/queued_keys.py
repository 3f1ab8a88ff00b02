"""Contrast of queries with their own keys, among these and the queued keys of earlier batches."""

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.layers.queue import Queue
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernel import Kernel
from kontrast.losses.relation import CandidatesOnly, Relation
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.within_group import WithinGroup

LONGEST = 4096  # keys in a queue whose length follows from the data
BLOCK = 1024  # queries compared at once: each block holds the keys of its own queries, which no other may meet


def queue_length(task: str, queue: int | None, samples: int, *, least: int = 0) -> int:
    """Keys in a queue; by default 4,096, or half of the training rows if these are fewer.

    Args:
        task: Name of the task, for the message.
        queue: What the user asks for; None: the default.
        samples: Number of training rows.
        least: Fewest keys. Default: 0, no queue.

    Raises:
        UserError: fewer keys than that, or more than training rows.
    """
    length = min(LONGEST, max(1, samples // 2)) if queue is None else queue
    if not least <= length <= samples:
        raise UserError(
            f"task '{task}': queue={queue}, and there are {samples:,} training rows; expected "
            f"{'at least 1 and ' * (least > 0)}at most as many keys as rows, since more would be old keys of the same "
            "rows."
        )
    return length


def queued(
    queries: Embeddings, keys: Embeddings, queue: Queue, *, content: str, loss: ContrastiveLoss, kernel: Kernel
) -> LossTerm:
    """Loss of each query with its own key as positive, among it and the queued keys.

    Queued keys of the same sample, and of equal content, are no candidates.

    Args:
        queries: N rows with `id` and `content`; a sample may have several.
        keys: N rows; row k belongs to query k.
        queue: Keys of earlier batches, with `content`.
        content: Name of the key that is equal for duplicates.
        loss: Loss of one query.
        kernel: Similarity of a query and a key.
    """
    relation, old, parts = _relation(content), queue.rows(), []
    for start in range(0, max(1, len(queries)), BLOCK):
        ours, own = (rows[start : start + BLOCK] for rows in (queries, keys))
        place = torch.arange(len(ours), device=ours.z.device)
        asked = Embeddings(ours.z, {**{n: ours.keys[n] for n in old.keys}, "place": place})
        fresh = Embeddings(own.z, {n: own.keys[n] for n in old.keys})
        among = Embeddings.stack(_marked(fresh, place), _marked(old, torch.full_like(old.keys["id"], -1)))
        parts.append(contrast(asked, among, relation, loss=loss, kernel=kernel))
    return parts[0] if len(parts) == 1 else _sum(parts)


def _marked(rows: Embeddings, place: Tensor) -> Embeddings:
    """Rows with the number of their query; -1 for queued ones."""
    return Embeddings(rows.z, {**rows.keys, "place": place, "own": place >= 0, "queued": place < 0})


def _relation(content: str) -> Relation:
    """Positive is the own key; candidates are it and the queued keys of other samples and contents."""
    own = WithinGroup("place") & KeyWeight("own", what="candidates")
    old = SameKey("id", apart=True) & KeyWeight("queued", what="candidates") & ExcludeDuplicates(content)
    return SameKey("place") & KeyWeight("own") & CandidatesOnly(own | old)


def _sum(parts: list[LossTerm]) -> LossTerm:
    total, count, negatives, chance = (
        torch.stack([torch.as_tensor(getattr(part, name)) for part in parts]).sum()
        for name in ("total", "count", "negatives", "chance")
    )
    return LossTerm(total, count, negatives=negatives, chance=chance)

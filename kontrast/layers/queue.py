"""Queue: embeddings of earlier batches with the keys of their rows, as further candidates."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.normalize import sphere
from kontrast.core.ranks import Ranks

# No view of a sample has this number, so a queued row is never mistaken for a row of the batch.
VIEW = -1


class Queue(nn.Module):
    """The latest rows of all ranks, normalised, with their keys; the oldest are overwritten.

    It starts with random directions as in the authors' code, whose keys are those of no sample. Saved with the model;
    gets no gradient.

    Args:
        size: Number of rows, 1 or more.
        width: Width of the embeddings.
        keys: Whole-number keys kept with each row besides `id`, such as `content image`.
        seed: Seed of the initial directions.

    Raises:
        UserError: `size` or `width` below 1.

    Reference:
        He et al. 2020, arXiv:1911.05722.

    Example:
        >>> queue = Queue(size=3, width=2)
        >>> queue.push(Embeddings(torch.eye(2), {"id": torch.tensor([7, 9])}), Ranks())
        >>> queue.rows().keys["id"].tolist()
        [7, 9, -3]
    """

    z: Tensor
    keys_of: Tensor
    place: Tensor

    def __init__(self, *, size: int, width: int, keys: Sequence[str] = (), seed: int = 0) -> None:
        super().__init__()
        if size < 1 or width < 1:
            raise UserError(f"queue: size={size}, width={width}; expected both to be 1 or more.")
        self.names = ("id", *keys)
        start = torch.randn(size, width, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("z", sphere(start))
        # Negative and unequal: the initial rows belong to no sample and are no duplicates of each other.
        self.register_buffer("keys_of", (-1 - torch.arange(size)).repeat(len(self.names), 1))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    def __len__(self) -> int:
        return len(self.z)

    def rows(self) -> Embeddings:
        """All rows with their keys, as rows of view -1."""
        # Copies: `push` must not change what the backward pass of this step reads.
        keys = dict(zip(self.names, self.keys_of.clone(), strict=True))
        return Embeddings(self.z.clone(), {**keys, "view": torch.full_like(keys["id"], VIEW)})

    @torch.no_grad()
    def push(self, new: Embeddings, ranks: Ranks) -> None:
        """Adds the rows of all ranks, in rank order; of more rows than the queue holds, the last remain.

        Args:
            new: This rank's rows, of any length, with the keys of the queue.
            ranks: Access to the other ranks' rows.
        """
        own = Embeddings(sphere(new.z.detach()), {name: new.keys[name] for name in self.names})
        every = ranks.gather({"": own})[""][-len(self) :]
        at = (self.place + torch.arange(len(every), device=self.z.device)) % len(self)
        self.z[at] = every.z.to(self.z.dtype)
        self.keys_of[:, at] = torch.stack([every.keys[name] for name in self.names])
        self.place.copy_((self.place + len(every)) % len(self))

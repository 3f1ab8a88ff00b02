"""Memory bank: a running embedding per sample, for losses over the whole data set."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings, Keys
from kontrast.core.ranks import Ranks

_UNMEASURED = torch.finfo(torch.float32).max  # no NaN: weights that are not finite are refused as damaged


class MemoryBank(nn.Module):
    """Unit vectors, one slot per sample, that move towards each new embedding of the sample.

    Used by instance discrimination. Saved with the model; gets no gradient.

    Args:
        samples: Number of samples; ids are 0 to samples - 1.
        width: Width of the embeddings.
        keep: Share of the old slot that each update keeps, from 0 to below 1; 0.5 as in the paper.
        seed: Seed of the initial random directions.
        keys: Whole-number keys of the samples kept beside them, such as `content image`; negative and unequal until a
            sample is seen.

    Equation:
        v <- normalise(keep v + (1 - keep) z).

    Reference:
        Wu et al. 2018, arXiv:1805.01978.
    """

    rows_of: Tensor
    log_mean: Tensor
    keys_of: Tensor

    def __init__(self, *, samples: int, width: int, keep: float = 0.5, seed: int = 0, keys: Sequence[str] = ()) -> None:
        super().__init__()
        if not 0 <= keep < 1:
            raise ValueError(f"memory: keep={keep}; expected from 0 to below 1.")
        self.keep, self.names = keep, tuple(keys)
        start = torch.randn(samples, width, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("rows_of", F.normalize(start, dim=-1))
        # Log of the mean e^S over the bank, measured once: the constant Z of noise-contrastive estimation.
        self.register_buffer("log_mean", torch.tensor(_UNMEASURED))
        unseen = (-1 - torch.arange(samples)).repeat(len(self.names), 1)
        self.register_buffer("keys_of", unseen, persistent=bool(keys))

    def __len__(self) -> int:
        return len(self.rows_of)

    @property
    def measured(self) -> bool:
        """Whether `log_mean` holds a measurement."""
        return bool(self.log_mean < _UNMEASURED)

    def rows(self, ids: Tensor | None = None) -> Embeddings:
        """Slots of these samples, or of all, as rows of view -1."""
        ids = torch.arange(len(self), device=self.rows_of.device) if ids is None else ids
        # A copy: `update` must not change what the backward pass of this step reads.
        keys = dict(zip(self.names, self.keys_of[:, ids], strict=True))
        return Embeddings(self.rows_of[ids].clone(), {"id": ids, "view": torch.full_like(ids, -1), **keys})

    @torch.no_grad()
    def update(self, ids: Tensor, z: Tensor, keys: Keys | None = None) -> None:
        """Moves the slots of the samples seen on any rank towards their new embeddings.

        A sample that was seen several times moves once, towards the mean direction.

        Args:
            ids: (N,) samples.
            z: (N, width) embeddings of any length.
            keys: Their keys, name -> (N,), those of the bank at least. None if the bank keeps none.
        """
        own = {"id": ids, **{name: (keys or {})[name] for name in self.names}}
        seen = Ranks().gather({"z": Embeddings(F.normalize(z.detach(), dim=-1), own)})["z"]
        slots, of = seen.keys["id"].unique(return_inverse=True)
        new = torch.zeros(len(slots), z.shape[-1], dtype=self.rows_of.dtype, device=z.device)
        new = F.normalize(new.index_add_(0, of, seen.z.to(new.dtype)), dim=-1)
        self.rows_of[slots] = F.normalize(self.keep * self.rows_of[slots] + (1 - self.keep) * new, dim=-1)
        for name, kept in zip(self.names, self.keys_of, strict=True):
            kept[seen.keys["id"]] = seen.keys[name]

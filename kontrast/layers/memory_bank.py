"""Memory: one slot a sample, the running direction of its embedding, for comparing with the whole data set."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.core.ranks import Ranks


class MemoryBank(nn.Module):
    """(samples, width) unit vectors, v <- normalise(keep v + (1 - keep) z) whenever a sample is seen.

    The memory bank of instance discrimination (Wu et al. 2018, arXiv:1805.01978, keep 0.5). ids are 0 to samples - 1.
    It begins with random directions; it is saved with the model, and learns nothing by gradient.
    """

    rows_of: Tensor
    log_mean: Tensor

    def __init__(self, *, samples: int, width: int, keep: float = 0.5, seed: int = 0) -> None:
        super().__init__()
        if not 0 <= keep < 1:
            raise ValueError(f"memory: keep={keep}; expected from 0 to below 1.")
        self.keep = keep
        start = torch.randn(samples, width, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("rows_of", F.normalize(start, dim=-1))
        # log of the mean e^S over the bank, measured once (NaN: not yet): the constant Z of noise-contrastive
        # estimation.
        self.register_buffer("log_mean", torch.tensor(torch.nan))

    def __len__(self) -> int:
        return len(self.rows_of)

    def rows(self, ids: Tensor | None = None) -> Embeddings:
        """The slots of these samples (all of them), as rows of view -1, which no drawn view has."""
        ids = torch.arange(len(self), device=self.rows_of.device) if ids is None else ids
        # A copy: the slots move on before the gradient of this step may ask for what they were.
        return Embeddings(self.rows_of[ids].clone(), {"id": ids, "view": torch.full_like(ids, -1)})

    @torch.no_grad()
    def update(self, ids: Tensor, z: Tensor) -> None:
        """Moves the slots of the samples seen on any rank, each once, towards the mean of its directions."""
        seen = Ranks().gather({"z": Embeddings(F.normalize(z.detach(), dim=-1), {"id": ids})})["z"]
        slots, of = seen.keys["id"].unique(return_inverse=True)
        new = torch.zeros(len(slots), z.shape[-1], dtype=self.rows_of.dtype, device=z.device)
        new = F.normalize(new.index_add_(0, of, seen.z.to(new.dtype)), dim=-1)
        self.rows_of[slots] = F.normalize(self.keep * self.rows_of[slots] + (1 - self.keep) * new, dim=-1)

"""Statistics of cepstra over a whole clip: what is measured of a sound without learning.

Axis letters: B rows, M mel bands, F frames, K cepstra.
"""

import math

import torch
from torch import Tensor

CEPSTRA = 20
PARTS = 4  # stretches of equal length whose means say in which order things come
WIDTH = (3 + PARTS) * CEPSTRA
# Softer than this a band is silent: what lies below is the noise of the codec, not of the sound.
_SILENT = math.log(1e-8)


def statistics(logs: Tensor) -> Tensor:
    """Mean, deviation, deviation of the change, and the means of four parts, of 20 cepstra.

    Args:
        logs: (B, M, F) log-mel spectrograms, NaN after the end.

    Returns:
        (B, 140) float32.

    Equation:
        c_kf = sqrt(2 / M) sum_m L_mf cos(pi k (m + 1/2) / M), k = 0..19

    Reference:
        Davis, Mermelstein 1980, "Comparison of parametric representations for monosyllabic word recognition".
    """
    there_BF = ~logs[:, 0].isnan()
    count_B1 = there_BF.sum(1, keepdim=True).clamp_min(1)
    cepstra = cosines(logs.shape[1], logs.device) @ logs.nan_to_num(0.0).clamp_min(_SILENT)
    cepstra = cepstra * there_BF[:, None]
    mean_BK = cepstra.sum(2) / count_B1
    spread = ((cepstra - mean_BK[:, :, None]).square() * there_BF[:, None]).sum(2) / count_B1
    both_BF = there_BF[:, 2:] & there_BF[:, :-2]
    change = (cepstra[..., 2:] - cepstra[..., :-2]) * both_BF[:, None]
    moves = change.square().sum(2) / both_BF.sum(1, keepdim=True).clamp_min(1)
    return torch.cat([mean_BK, spread.sqrt(), moves.sqrt(), part_means(cepstra, there_BF)], 1)


def part_means(h: Tensor, there_BF: Tensor) -> Tensor:
    """Means over the first, second, third and last quarter of each row.

    Args:
        h: (B, K, F), finite.
        there_BF: (B, F) bool, frames that exist, from the first on.

    Returns:
        (B, 4 K); the mean of the row for a part without a frame, as in rows of fewer than four.
    """
    count_B1 = there_BF.sum(1, keepdim=True).clamp_min(1)
    part_BF = torch.arange(h.shape[2], device=h.device) * PARTS // count_B1
    mean_BK = (h * there_BF[:, None]).sum(2) / count_B1
    parts = []
    for part in range(PARTS):
        inside_BF = (part_BF == part) & there_BF
        held_B1 = inside_BF.sum(1, keepdim=True)
        parts.append(torch.where(held_B1 > 0, (h * inside_BF[:, None]).sum(2) / held_B1.clamp_min(1), mean_BK))
    return torch.cat(parts, 1)


def cosines(mels: int, device: torch.device) -> Tensor:
    """(20, M) float32: the discrete cosine transform from mel bands to cepstra."""
    k, m = torch.arange(CEPSTRA, device=device)[:, None], torch.arange(mels, device=device)
    return torch.cos(math.pi * k * (m + 0.5) / mels) * math.sqrt(2 / mels)

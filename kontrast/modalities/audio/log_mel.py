"""Log-mel spectrograms of waveforms, for whole batches on their device.

Axis letters: B rows, C channels, T samples, M mel bands, F frames, K frequencies.
"""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR = 1e-10  # power below which all is silence, as in torchaudio's and librosa's decibels
_LOWEST = 20.0  # Hz: below it nobody hears anything
_BREAK, _SCALE = 700.0, 2595.0  # of HTK's mel scale


def mel(hertz: float) -> float:
    """Mels of a frequency in hertz, by HTK's formula 2595 log10(1 + f / 700)."""
    return _SCALE * math.log10(1 + hertz / _BREAK)


def hertz(mels: np.ndarray) -> np.ndarray:
    """Frequencies in hertz of mels."""
    return _BREAK * (10 ** (mels / _SCALE) - 1)


def filter_bank(rate: int, window: int, mels: int) -> np.ndarray:
    """Triangular filters with a height of 1 whose centres are evenly spaced in mels.

    Args:
        rate: Samples per second.
        window: Samples per frame.
        mels: Bands M.

    Returns:
        (M, K) float64 with K = window // 2 + 1. A band narrower than the spacing of the frequencies takes the nearest
        one, so that no band is empty.
    """
    at_K = np.arange(window // 2 + 1) * rate / window
    edges = hertz(np.linspace(mel(_LOWEST), mel(rate / 2), mels + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bank = np.minimum((at_K - low) / (centre - low), (high - at_K) / (high - centre)).clip(0)
    empty = np.flatnonzero(bank.sum(1) == 0)
    bank[empty, np.abs(at_K - centre[empty]).argmin(1)] = 1.0
    return bank


@lru_cache(maxsize=8)
def _matrices(rate: int, window: int, mels: int) -> tuple[np.ndarray, np.ndarray]:
    """Windowed Fourier matrix (window, 2 K) and filter bank (K, M), float32 from float64.

    Arrays of numpy, since a tensor made while a graph is recorded must not outlive it.
    """
    t = np.arange(window)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * t / window)
    angle = 2 * np.pi * ((t[:, None] * np.arange(window // 2 + 1)) % window) / window
    fourier = np.concatenate([np.cos(angle), np.sin(angle)], 1) * hann[:, None]
    return fourier.astype(np.float32), np.ascontiguousarray(filter_bank(rate, window, mels).T, np.float32)


def log_mel(x: Tensor, *, rate: int, window: int, hop: int, mels: int) -> Tensor:
    """Logarithm of the power per mel band and frame.

    The Fourier transform is a product with a matrix: for windows of 25 ms it takes as long as an FFT, and it is the
    same on every device and in ONNX.

    Args:
        x: (..., T) float waveforms in -1..1; a shorter one than a frame is padded with zeros.
        rate: Samples per second.
        window: Samples per frame.
        hop: Samples from frame to frame.
        mels: Bands M.

    Returns:
        (..., M, F) with F = 1 + (T - window) // hop.

    Equation:
        L_mf = log max(1e-10, sum_k bank_mk |sum_t hann_t x_{f hop + t} e^(-2 pi i k t / window)|^2)

    Example:
        >>> log_mel(torch.zeros(3, 8000), rate=8000, window=200, hop=80, mels=40).shape
        torch.Size([3, 40, 98])
    """
    if x.shape[-1] < window:
        x = F.pad(x, (0, window - x.shape[-1]))
    fourier, bank = (torch.from_numpy(matrix).to(x.device) for matrix in _matrices(rate, window, mels))
    real, imaginary = (x.unfold(-1, window, hop) @ fourier).chunk(2, -1)
    power = real.square() + imaginary.square()
    return (power @ bank).clamp_min(FLOOR).log().mT

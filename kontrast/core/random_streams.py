"""Random numbers that depend only on seed, epoch, sample id and view; or on seed, step and view.

They are drawn for whole batches at once, by splitmix64 counters in plain torch. A row draws the same numbers alone, in
any batch, on any worker or rank, and after resuming.

Reference:
    Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# splitmix64's constants as signed 64-bit numbers: int64 wraps as uint64 does; >> copies the sign, hence the masks.
GAMMA, _M1, _M2 = -7046029254386353131, -4658895280553007687, -7723592293110705685
_ALL = (1 << 64) - 1
_STEP = 3000  # branch of the streams of steps, apart from those of rows
_BITS = 24  # of a draw as a whole number
_TRIES = 16  # of the gamma sampler, whose tries fail in under 5 of 100: 16 in a row are rarer than 2^-64


@dataclass(frozen=True, eq=False)
class Streams:
    """Random streams of the rows of a batch, (B,) int64 each.

    Rows of several views may stand in one batch.

    Attributes:
        view_B: A stream per row and view.
        row_B: A stream per row, the same for all its views and fields: what it decides leaves a pair a pair.
        step_B: A stream per step and view, the same for all rows of all ranks: for decisions that rows share (the
            length of a crop, hidden features, dropped edges of a common graph).
    """

    view_B: Tensor
    row_B: Tensor
    step_B: Tensor

    def fork(self, branch: int) -> "Streams":
        """Independent streams derived from these, for another kind of decision."""
        return Streams(fork(self.view_B, branch), fork(self.row_B, branch), fork(self.step_B, branch))

    def __getitem__(self, rows: slice) -> "Streams":
        return Streams(self.view_B[rows], self.row_B[rows], self.step_B[rows])


def mix(x: Tensor) -> Tensor:
    """Finaliser of splitmix64: int64 to int64, bijective.

    Every input bit affects every output bit.
    """
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * _M1
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * _M2
    return x ^ ((x >> 31) & 0x1FFFFFFFF)


def key(seed: int, epoch: int, ids_B: Tensor, view: int) -> Tensor:
    """One stream of random numbers per row.

    Each part is mixed on its own, so that different tuples do not collide by addition.

    Args:
        seed: Seed of the run.
        epoch: Epoch, from 0.
        ids_B: (B,) int64, hashes of the sample ids.
        view: Number of the view.

    Returns:
        (B,) int64.
    """
    return keys(seed, epoch, ids_B, (view,))[0]


def keys(seed: int, epoch: int, ids_B: Tensor, views: Sequence[int]) -> Tensor:
    """Streams of several views, (V, B) int64; row v equals `key` of `views[v]`."""
    k = _mixed(_mixed(seed * GAMMA) + (epoch + 1) * GAMMA)
    parts = [_signed(_mixed(k + (view + 1) * GAMMA) + GAMMA) for view in views]
    return mix(ids_B * GAMMA + torch.tensor(parts, device=ids_B.device)[:, None])


def fork(key_B: Tensor, branch: int) -> Tensor:
    """Independent streams derived from these, (B,) int64, for another kind of decision about each row."""
    return mix(key_B ^ _signed(_mixed((branch + 1) * _M1)))


def step_keys(seed: int, step: int, views: Sequence[int]) -> Tensor:
    """Streams of a step, one per view: (V,) int64, the same on all ranks.

    Repeat a view's stream for its rows: `step_keys(seed, step, [view]).expand(B)`.

    Args:
        seed: Seed of the run.
        step: Step, from 0.
        views: Numbers of the views.
    """
    return fork(keys(seed, step, torch.zeros(1, dtype=torch.int64), views)[:, 0], _STEP)


def _mixed(x: int) -> int:
    """`mix` of a single number, without the cost of eleven tensors."""
    x &= _ALL
    x = ((x ^ (x >> 30)) * _M1) & _ALL
    x = ((x ^ (x >> 27)) * _M2) & _ALL
    return x ^ (x >> 31)


def _signed(x: int) -> int:
    """Signed number with the same 64 bits."""
    x &= _ALL
    return x - (1 << 64) if x >> 63 else x


def uniform(key_B: Tensor, n: int) -> Tensor:
    """First n numbers of each stream, uniform in [0, 1): (B, n) float32."""
    steps = torch.arange(1, n + 1, device=key_B.device) * GAMMA
    return ((mix(key_B[:, None] + steps) >> 40) & 0xFFFFFF) * 2.0**-24


def drawn(key_B: Tensor, n: int) -> Tensor:
    """First n draws of each stream, (B, n) whole numbers below 2^24."""
    return (uniform(key_B, n) * (1 << _BITS)).long()


def share(draw: Any, choices: Any) -> Any:
    """One of 0 to `choices` - 1, equally likely, from a draw below 2^24.

    Takes whole numbers or tensors of them, so that every device agrees.
    """
    return (draw * choices) >> _BITS


def normal(key_B: Tensor, n: int) -> Tensor:
    """First n standard normal numbers of each stream (Box-Muller): (B, n) float32."""
    u = uniform(key_B, 2 * n)
    radius = (-2 * (1 - u[:, :n]).log()).sqrt()
    return radius * (2 * torch.pi * u[:, n:]).cos()


def beta(key_B: Tensor, alpha: float, other: float | None = None) -> Tensor:
    """One number per stream from a Beta distribution.

    A ratio of two Gamma numbers, compared by their logarithms, so that no `alpha` is too small. Each row uses its own
    stream alone and takes the first accepted of a fixed number of tries, so no device waits for another.

    Args:
        key_B: (B,) int64, a stream per row.
        alpha: Shape, above 0.
        other: Second shape, above 0. Default: None, which is `alpha`: symmetric about 1/2.

    Returns:
        (B,) float32 in [0, 1].

    Equation:
        B = X / (X + Y), X ~ Gamma(alpha), Y ~ Gamma(other)

    Example:
        >>> beta(torch.arange(1000), 0.2).mean().round(decimals=1)
        tensor(0.5000)
    """
    x, y = (_log_gamma_draw(fork(key_B, n), a) for n, a in enumerate((alpha, alpha if other is None else other)))
    return (x - y).sigmoid().float()


def _log_gamma_draw(key_B: Tensor, shape: float) -> Tensor:
    """Logarithm of one Gamma number per stream, by rejection.

    Reference:
        Marsaglia, Tsang, "A Simple Method for Generating Gamma Variables", ACM TOMS 2000; for a shape below 1 the
        number of shape + 1 times u^(1 / shape).
    """
    u_B = uniform(fork(key_B, 2), _TRIES + 1)
    x, tried = normal(fork(key_B, 3), _TRIES), u_B[:, :_TRIES]
    if key_B.device.type != "mps":  # MPS has no float64
        u_B, x, tried = u_B.double(), x.double(), tried.double()
    d = (shape + 1 if shape < 1 else shape) - 1 / 3
    v = (1 + x / math.sqrt(9 * d)).clamp_min(0) ** 3
    fits = (1 - tried).log() < x.square() / 2 + d - d * v + d * v.log()  # false for v = 0, whose logarithm is -inf
    first = fits.to(torch.int8).argmax(1, keepdim=True)
    log = (d * v.gather(1, first)[:, 0]).log()
    return log + (1 - u_B[:, _TRIES]).log() / shape if shape < 1 else log


def folded(seed: int) -> int:
    """Converts any whole number to a seed of 63 bits, as generators take it.

    Numbers in that range stay as they are; others are hashed.
    """
    if 0 <= seed < 1 << 63:
        return seed
    length = (seed.bit_length() + 8) // 8
    return int.from_bytes(hashlib.sha256(seed.to_bytes(length, "little", signed=True)).digest()[:8], "little") >> 1


def sow(seed: int, device: torch.device) -> None:
    """Seeds PyTorch's own generators (dropout) of the CPU and of a device.

    `torch.manual_seed` seeds every possible device: a CUDA build on a machine without CUDA records each call with its
    stack, which takes 1.4 ms per step and memory that grows.
    """
    seed = folded(seed)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def permutation(seed: int, epoch: int, n: int) -> Tensor:
    """Random order of n rows, (n,) int64; the same on every rank and after resuming."""
    return key(seed, epoch, torch.arange(n), -7).argsort()

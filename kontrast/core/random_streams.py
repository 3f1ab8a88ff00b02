"""Randomness that depends only on (seed, epoch, sample id, view), drawn for whole batches at once: splitmix64 counters
in plain torch.

Row i draws the same numbers alone, in any batch, on any worker or rank, and after resuming.
Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

# splitmix64's constants as signed 64-bit numbers: int64 wraps as uint64 would; >> needs its sign bits cut.
GAMMA, _M1, _M2 = -7046029254386353131, -4658895280553007687, -7723592293110705685
_ALL = (1 << 64) - 1


def mix(x: Tensor) -> Tensor:
    """splitmix64's finaliser: int64 -> int64, one to one, every input bit moves every output bit."""
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * _M1
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * _M2
    return x ^ ((x >> 31) & 0x1FFFFFFFF)


def key(seed: int, epoch: int, ids_B: Tensor, view: int) -> Tensor:
    """One stream of random numbers a row: (B,) int64. One mix a part, so that no two tuples meet by addition."""
    return keys(seed, epoch, ids_B, (view,))[0]


def keys(seed: int, epoch: int, ids_B: Tensor, views: Sequence[int]) -> Tensor:
    """(V, B): `key` of several views."""
    k = _mixed(_mixed(seed * GAMMA) + (epoch + 1) * GAMMA)
    parts = [_signed(_mixed(k + (view + 1) * GAMMA) + GAMMA) for view in views]
    return mix(ids_B * GAMMA + torch.tensor(parts, device=ids_B.device)[:, None])


def fork(key_B: Tensor, branch: int) -> Tensor:
    """An independent stream from each of these streams, for one more kind of decision about the same row."""
    return mix(key_B ^ _signed(_mixed((branch + 1) * _M1)))


def _mixed(x: int) -> int:
    """`mix` of one number, without the cost of eleven tensors."""
    x &= _ALL
    x = ((x ^ (x >> 30)) * _M1) & _ALL
    x = ((x ^ (x >> 27)) * _M2) & _ALL
    return x ^ (x >> 31)


def _signed(x: int) -> int:
    """The signed number of the same 64 bits."""
    x &= _ALL
    return x - (1 << 64) if x >> 63 else x


def uniform(key_B: Tensor, n: int) -> Tensor:
    """(B, n) float32 in [0, 1): the first n numbers of each row's stream."""
    steps = torch.arange(1, n + 1, device=key_B.device) * GAMMA
    return ((mix(key_B[:, None] + steps) >> 40) & 0xFFFFFF) * 2.0**-24


def normal(key_B: Tensor, n: int) -> Tensor:
    """(B, n) float32 standard normal (Box-Muller)."""
    u = uniform(key_B, 2 * n)
    radius = (-2 * (1 - u[:, :n]).log()).sqrt()
    return radius * (2 * torch.pi * u[:, n:]).cos()


def folded(seed: int) -> int:
    """A seed as generators take it, 63 bits; any other whole number becomes one of those, always the same."""
    if 0 <= seed < 1 << 63:
        return seed
    length = (seed.bit_length() + 8) // 8
    return int.from_bytes(hashlib.sha256(seed.to_bytes(length, "little", signed=True)).digest()[:8], "little") >> 1


def sow(seed: int, device: torch.device) -> None:
    """Seeds what PyTorch draws by itself (dropout), on the CPU and on that device.

    torch.manual_seed means every device there may be: a CUDA build on a machine without one notes each call with its
    stack for later, which took 1.4 ms a step and memory that grew.
    """
    seed = folded(seed)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def permutation(seed: int, epoch: int, n: int) -> Tensor:
    """An order of n rows: (n,) int64, the same on every rank and after resuming."""
    return key(seed, epoch, torch.arange(n), -7).argsort()

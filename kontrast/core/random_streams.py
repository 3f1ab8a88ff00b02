"""Random numbers that depend only on seed, epoch, sample id and view.

They are drawn for whole batches at once, by splitmix64 counters in plain torch. A row draws the same numbers alone, in
any batch, on any worker or rank, and after resuming.

Reference:
    Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

# splitmix64's constants as signed 64-bit numbers: int64 wraps as uint64 does; >> copies the sign, hence the masks.
GAMMA, _M1, _M2 = -7046029254386353131, -4658895280553007687, -7723592293110705685
_ALL = (1 << 64) - 1


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


def normal(key_B: Tensor, n: int) -> Tensor:
    """First n standard normal numbers of each stream (Box-Muller): (B, n) float32."""
    u = uniform(key_B, 2 * n)
    radius = (-2 * (1 - u[:, :n]).log()).sqrt()
    return radius * (2 * torch.pi * u[:, n:]).cos()


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

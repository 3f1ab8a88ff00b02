"""Image augmentations for whole batches: one warp and one colour matrix per row.

Each row draws from its own key. Axis letters: B rows, C channels, H and W pixels. Pixels are float in 0..1 unless said
otherwise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from kontrast.core import random_streams

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
# Red, green and blue under a quarter turn of the chroma in YIQ.
_QUARTER = ((0.167740, 0.329310, -0.497049), (-0.328113, 0.035467, 0.292646), (1.249546, -1.046339, -0.203207))
# Numbers worked on at once, 2 MB: what is warped, its grid and what becomes of it stay near a core. At 224 px that took
# half the time of 256 rows at once, most of which went to fresh pages of memory.
_PART = 1 << 19


@dataclass(frozen=True)
class Strength:
    """Ranges and probabilities of the image augmentations.

    Attributes:
        smallest_crop: Smallest share of the area that a crop keeps.
        brightness: Largest relative change; 0.4 draws a factor from 0.6..1.4.
        contrast: As brightness.
        saturation: As brightness.
        hue: Largest turn, in turns; 0.1 is 36 degrees.
        jitter: Probability of the four above.
        grey: Probability of losing all colour.
        flip: Probability of a mirror image.
        largest_crop: Largest share of the area that a crop keeps.
    """

    smallest_crop: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    jitter: float
    grey: float
    flip: float
    largest_crop: float = 1.0


# Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, as used for 32 px.
STRONG = Strength(0.2, 0.4, 0.4, 0.4, 0.1, 0.8, 0.2, 0.5)
# For pairs that already differ (an image and its caption, two drawings of one thing): enough not to memorise pixels.
LIGHT = Strength(0.7, 0.2, 0.2, 0.2, 0.02, 0.8, 0.0, 0.0)
# The weak view of FixMatch (arXiv:2001.07685) moves an image by an eighth of its side, which leaves .77 of the area.
WEAK = Strength(0.75, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
# Share of the area in a small crop of multi-crop, as in DINO (arXiv:2104.14294).
SMALL_CROP = (0.05, 0.4)


def warp(x_BCHW: Tensor, key_B: Tensor, strength: Strength) -> Tensor:
    """Random crop, sometimes mirrored, at full size.

    Args:
        x_BCHW: Images.
        key_B: (B,) int64, a random stream per row.
        strength: `smallest_crop` is the smallest share of the area; sides are 3:4 to 4:3. `flip` mirrors.

    Returns:
        (B, C, H, W).

    Example:
        >>> warp(torch.rand(2, 3, 8, 8), torch.tensor([1, 2]), STRONG).shape
        torch.Size([2, 3, 8, 8])
    """
    return _warped(x_BCHW, *_places(random_streams.uniform(key_B, 5), strength, *x_BCHW.shape[2:]))


def recolour(x_BCHW: Tensor, key_B: Tensor, strength: Strength) -> Tensor:
    """Random brightness, contrast, saturation, hue and grey as one matrix and one offset per row.

    All five are linear in the colour of a pixel, so they compose; clipping after each, in shuffled order, as other
    libraries do, costs several times the time. With other than three channels: brightness and contrast only.

    Args:
        x_BCHW: Images in 0..1.
        key_B: (B,) int64, a random stream per row.
        strength: Ranges of the changes.

    Returns:
        (B, C, H, W), clipped to 0..1.

    Example:
        >>> recolour(torch.rand(2, 3, 8, 8), torch.tensor([1, 2]), STRONG).shape
        torch.Size([2, 3, 8, 8])
    """
    out_BCHW = torch.empty_like(x_BCHW, memory_format=torch.contiguous_format)
    ranges = [(0.0, 1.0)] * x_BCHW.shape[1]
    _recolour(out_BCHW, x_BCHW, *_colours(random_streams.uniform(key_B, 6), strength, ranges), ranges)
    return out_BCHW


def augment(
    bytes_BCHW: Tensor,
    key_B: Tensor,
    strength: Strength,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    mirrored_B: Tensor | None = None,
    size: int | None = None,
) -> Tensor:
    """`warp`, then `recolour`, then normalisation, in parts that fit into a cache.

    Args:
        bytes_BCHW: Pixels in 0..255.
        key_B: (B,) int64, a random stream per row.
        strength: Ranges of the changes.
        mean: Per channel, in 0..1; subtracted.
        std: Per channel; divides.
        mirrored_B: (B,) bool, images that are mirrored first; None for none.
        size: Side of the result in pixels; None keeps H and W.

    Returns:
        (B, C, H, W) float32.
    """
    B, C = bytes_BCHW.shape[:2]
    H, W = (size, size) if size else bytes_BCHW.shape[2:]
    u_B11 = random_streams.uniform(key_B, 11)
    x_BW, y_BH = _places(u_B11[:, :5], strength, H, W)
    if mirrored_B is not None:
        x_BW = torch.where(mirrored_B[:, None], -x_BW, x_BW)
    ranges = [(-m / s, (1 - m) / s) for m, s in zip(mean, std, strict=True)]
    slope_B, pull_BC, floor_C = _colours(u_B11[:, 5:], strength, ranges, unit=255)
    out_BCHW = torch.empty((B, C, H, W), device=bytes_BCHW.device)
    rows = max(1, _PART // (C * H * W)) if bytes_BCHW.device.type == "cpu" else max(1, B)
    for start in range(0, B, rows):
        part = slice(start, start + rows)
        x = _warped(bytes_BCHW[part].float(), x_BW[part], y_BH[part])
        _recolour(out_BCHW[part], x, slope_B[part], pull_BC[part], floor_C, ranges)
    return out_BCHW


def _places(u_B5: Tensor, strength: Strength, H: int, W: int) -> tuple[Tensor, Tensor]:
    """(B, W) and (B, H): columns and rows of the crops in -1..1, from uniform draws."""
    area, ratio, *along, mirror = u_B5.unbind(1)
    side = (strength.smallest_crop + (strength.largest_crop - strength.smallest_crop) * area).sqrt()
    stretch = torch.exp((ratio - 0.5) * math.log(4 / 3))  # the square root of a ratio that is log-uniform in 3/4..4/3
    size_2B = (side * torch.stack((stretch, 1 / stretch))).clamp_(max=1)
    to_2B = (2 * torch.stack(along) - 1) * (1 - size_2B)
    sign = 1 - 2 * (mirror < strength.flip).float()
    return _line(size_2B[0] * sign, to_2B[0], W), _line(size_2B[1], to_2B[1], H)


def _line(slope_B: Tensor, to_B: Tensor, n: int) -> Tensor:
    """(B, n): centres of n pixels that cover -1..1, scaled and moved."""
    middles_n = (2 * torch.arange(n, device=slope_B.device) + 1) / n - 1
    return torch.addcmul(to_B[:, None], slope_B[:, None], middles_n)


def _warped(x_BCHW: Tensor, x_BW: Tensor, y_BH: Tensor) -> Tensor:
    """Crops at the size of the lines. Filling the grid with two lines takes a quarter of an affine grid's time."""
    B, H, W = len(x_BCHW), y_BH.shape[1], x_BW.shape[1]
    grid_BHW2 = x_BCHW.new_empty(B, H, W, 2)
    grid_BHW2[..., 0] = x_BW[:, None]
    grid_BHW2[..., 1] = y_BH[:, :, None]
    return F.grid_sample(x_BCHW, grid_BHW2, padding_mode="border", align_corners=False)


def _colours(
    u_B6: Tensor, strength: Strength, ranges: Sequence[tuple[float, float]], unit: float = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Coefficients of the colour change, from uniform draws.

    Args:
        u_B6: Uniform draws.
        strength: Ranges of the changes.
        ranges: What black and white of a channel become without augmentation.
        unit: Value of white in the input.

    Returns:
        Factor of a pixel, (B, 3, 3) or (B, C, 1); share of the image's mean that is added per channel, (B, C); what
        black becomes, (C,).
    """
    most = (strength.brightness, strength.contrast, strength.saturation, strength.hue)
    by_B4 = (2 * u_B6[:, :4] - 1) * torch.tensor(most, device=u_B6.device) * (u_B6[:, 4:5] < strength.jitter)
    bright, contrast, saturation = (1 + by_B4[:, :3]).unbind(1)
    floor_C, white_C = torch.tensor(ranges, device=u_B6.device).unbind(1)
    scale_C = (white_C - floor_C) / unit
    slope_B, pull_BC = contrast * bright, ((1 - contrast) * bright)[:, None] * scale_C
    if len(ranges) != 3:
        return (slope_B[:, None] * scale_C)[:, :, None], pull_BC, floor_C
    chroma_B33 = _chroma(saturation * (u_B6[:, 5] >= strength.grey), by_B4[:, 3] * (2 * torch.pi))
    return chroma_B33 * (slope_B[:, None] * scale_C)[:, :, None], pull_BC, floor_C


def _chroma(scale_B: Tensor, angle_B: Tensor) -> Tensor:
    """(B, 3, 3): scales and turns the chroma of a pixel in YIQ, keeps its luma."""
    luma_33 = torch.tensor((LUMA, LUMA, LUMA), device=scale_B.device)
    quarter_33 = torch.tensor(_QUARTER, device=scale_B.device)
    cos, sin = ((scale_B * f)[:, None, None] for f in (angle_B.cos(), angle_B.sin()))
    return luma_33 + cos * (torch.eye(3, device=scale_B.device) - luma_33) + sin * quarter_33


def _recolour(
    out_BCHW: Tensor,
    x_BCHW: Tensor,
    slope_B: Tensor,
    pull_BC: Tensor,
    floor_C: Tensor,
    ranges: Sequence[tuple[float, float]],
) -> None:
    """Applies the coefficients of `_colours` and clips, into `out`; scaling needs no pass of its own."""
    C = len(ranges)
    x_BCP, out_BCP = x_BCHW.flatten(2), out_BCHW.flatten(2)
    weight_C = torch.tensor(LUMA if C == 3 else [1 / C] * C, device=x_BCHW.device)
    grey_B = x_BCP.mean(2) @ weight_C  # contrast pulls towards it; colour changes leave grey as it is
    offset_BC1 = torch.addcmul(floor_C, pull_BC, grey_B[:, None])[:, :, None]
    if C == 3:
        torch.baddbmm(offset_BC1, slope_B, x_BCP, out=out_BCP)
    else:
        torch.mul(x_BCP, slope_B, out=out_BCP).add_(offset_BC1)
    for channel, (low, high) in enumerate(ranges):
        out_BCP[:, channel].clamp_(low, high)

"""Distortions of whole batches of images: one warp and one colour matrix a row, each row's draws from its own key.

Axis letters: B rows, C channels, H and W pixels. Pixels are float in 0..1 between the steps.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from kontrast.core import chance

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_TO_YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


@dataclass(frozen=True)
class Strength:
    """How far the distortions go: .4 draws a factor from 0.6..1.4, a hue of .1 is 36 degrees."""

    smallest_crop: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    jitter: float  # probability of the four above
    grey: float  # probability of losing all colour
    flip: float  # probability of a mirror image


# Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, as used for 32 px.
STRONG = Strength(0.2, 0.4, 0.4, 0.4, 0.1, 0.8, 0.2, 0.5)
# For pairs that already differ (an image and its caption, two drawings of one thing): pixels are not learned by heart.
LIGHT = Strength(0.7, 0.2, 0.2, 0.2, 0.02, 0.8, 0.0, 0.0)


def warp(x_BCHW: Tensor, key_B: Tensor, strength: Strength) -> Tensor:
    """A random part of each image (area `smallest_crop`..1, sides 3:4..4:3), sometimes mirrored, at full size again."""
    area, ratio, along_x, along_y, mirror = chance.uniform(key_B, 5).unbind(1)
    side = (strength.smallest_crop + (1 - strength.smallest_crop) * area).sqrt()
    stretch = torch.exp((ratio - 0.5) * math.log(4 / 3))  # the square root of a ratio that is log-uniform in 3/4..4/3
    wide, high = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    to_x, to_y = (2 * along_x - 1) * (1 - wide), (2 * along_y - 1) * (1 - high)
    sign, none = 1 - 2 * (mirror < strength.flip).float(), torch.zeros_like(wide)
    theta_B23 = torch.stack([wide * sign, none, to_x, none, high, to_y], 1).view(-1, 2, 3)
    grid = F.affine_grid(theta_B23, list(x_BCHW.shape), align_corners=False)
    return F.grid_sample(x_BCHW, grid, padding_mode="border", align_corners=False)


def recolour(x_BCHW: Tensor, key_B: Tensor, strength: Strength) -> Tensor:
    """Brightness, contrast, saturation, hue and grey as one matrix and one offset a row, then cut to 0..1.

    All five are linear in a pixel's colour, so they compose; cutting after each, in shuffled order, as elsewhere, costs
    several times the time. With other than three channels: brightness and contrast alone.
    """
    bright, contrast, saturation, hue, whether, grey = chance.uniform(key_B, 6).unbind(1)
    on = (whether < strength.jitter).to(x_BCHW.dtype)
    bright = 1 + (2 * bright - 1) * strength.brightness * on
    contrast = 1 + (2 * contrast - 1) * strength.contrast * on
    B, C = x_BCHW.shape[:2]
    if C != 3:
        mean_B = x_BCHW.mean((1, 2, 3))
        slope, offset = contrast * bright, (1 - contrast) * bright * mean_B
        return (x_BCHW * slope.view(B, 1, 1, 1) + offset.view(B, 1, 1, 1)).clamp(0, 1)
    saturation = (1 + (2 * saturation - 1) * strength.saturation * on) * (grey >= strength.grey)
    angle = (2 * hue - 1) * strength.hue * on * (2 * torch.pi)
    colour_B33 = _chroma(saturation, angle)
    luma_3 = torch.tensor(LUMA, device=x_BCHW.device)
    mean_B = x_BCHW.mean((2, 3)) @ luma_3  # contrast pulls towards the mean grey; colour changes leave grey as it is
    offset_B = (1 - contrast) * bright * mean_B
    matrix_B33 = colour_B33 * (contrast * bright).view(B, 1, 1)
    y = torch.baddbmm(offset_B.view(B, 1, 1), matrix_B33, x_BCHW.flatten(2))
    return y.clamp_(0, 1).view_as(x_BCHW)


def _chroma(scale_B: Tensor, angle_B: Tensor) -> Tensor:
    """(B, 3, 3): each pixel's chroma scaled and turned in YIQ, its luma kept."""
    to_yiq = torch.tensor(_TO_YIQ, device=scale_B.device)
    cos, sin = scale_B * angle_B.cos(), scale_B * angle_B.sin()
    one, zero = torch.ones_like(cos), torch.zeros_like(cos)
    turn_B33 = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], 1).view(-1, 3, 3)
    return torch.linalg.inv(to_yiq) @ turn_B33 @ to_yiq

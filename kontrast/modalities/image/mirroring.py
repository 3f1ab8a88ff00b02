"""Test on the images themselves whether they may be mirrored."""

import torch
from torch import Tensor

LOOKED_AT = 1024  # pictures: the share is then known to .016
MOST = 0.55


def farther(features_BCHW: Tensor) -> float:
    """Share of images whose mirror image lies farther from all others than the image itself.

    One half if both directions are as common (photographs of things: CIFAR-10 .48 to .50); more if mirroring leads out
    of the data (letters .66, two drawings of an emoji .63, chest x-rays .91, digits .95).

    Args:
        features_BCHW: Images, a few pixels a side; the first `LOOKED_AT` are compared.

    Returns:
        The share, equal distances counted half; one half for fewer than three images.
    """
    pictures = features_BCHW[:LOOKED_AT].float()
    if len(pictures) < 3:
        return 0.5
    plain, mirrored = ((x - x.mean((1, 2, 3), keepdim=True)).flatten(1) for x in (pictures, pictures.flip(3)))
    itself = torch.eye(len(plain), dtype=torch.bool)
    there, back = (torch.cdist(x, plain).masked_fill(itself, torch.inf).amin(1) for x in (plain, mirrored))
    return float(((back > there).double() + (back == there).double() / 2).mean())

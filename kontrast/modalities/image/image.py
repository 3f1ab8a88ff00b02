"""Images of any format and size as squares of one size, augmented in whole batches.

Axis letters: B rows, C channels, H and W pixels, S the side of the square.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as Pil
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.data.augmentation import AugmentationChoice, applied, augmentation_of, streams_of
from kontrast.data.export_entry import ExportEntry
from kontrast.data.masking import Masking
from kontrast.data.miniature import Miniature
from kontrast.data.modality import Modality
from kontrast.data.schema.column import Claim, Column
from kontrast.data.view import Role
from kontrast.modalities.image import mirroring
from kontrast.modalities.image.augmentations.cutout import Cutout
from kontrast.modalities.image.augmentations.pipeline import LIGHT, LUMA, SMALL_CROP, STRONG, WEAK, Strength, augment
from kontrast.modalities.image.export_entry import ImageEntry
from kontrast.modalities.image.masking import MASKING
from kontrast.modalities.image.miniature import MINIATURE
from kontrast.modalities.image.picture import picture
from kontrast.modalities.image.recognise import recognise

# `read` shrinks a short side to this (or to `size`, if larger): a sample of photographs must fit into memory.
_KEPT = 512
_ELONGATED = 2.0  # up to this ratio of the sides the middle square is kept, beyond it the whole picture is squeezed
_SAMPLE = 256  # pictures for mean and standard deviation
_RAW, _LIKENESS = 8, 16  # pixels a side
_LOCAL = 3 / 7  # side of a local view as a share of `size`: 96 of 224 px, as in SwAV and DINO
_SMALLEST = 16  # pixels a side of a local view
_CUTOUT = 1  # branch of the random streams


class Image(Modality):
    """Images: files, encoded bytes, arrays or PIL images, grey or coloured.

    Args:
        size: Side of the square in pixels; by default the median short side of a sample, a multiple of 8 from 16 to 64.
        channels: 1 or 3; by default 1 if the whole sample is grey, else 3. Arrays may have another number if it is set.
        strength: Of the augmentations. "strong": two views of one image are the pair (SimCLR). "light": the pairs come
            from the data (an image and its caption). "none": no augmentation.
        flip: Whether mirror images mean the same. By default only for coloured images whose mirror images lie no
            farther from the others than the images themselves (`mirroring`): grey ones are often scans or digits.
        mean: Per channel, in 0..1; by default the mean of the sample.
        std: Per channel, above 0; by default the standard deviation of the sample, at least 0.05.
        augmentation: One more, by name, applied last (`blur`, or `my_lab.ideas:Mine`).

    Roles of views:
        global: crop of 20 % to all of the area, mirror image and colours (strong); 70 % and slight colours (light).
        local: crop of 5 to 40 % of the area, with the colours of global, at 3/7 of the side (96 of 224 pixels).
        weak: crop of 75 % or more, mirror image; no colours.
        strong: as global under strong, and half of the side covered at a random place (Cutout, as in FixMatch).
        context: as weak.
        original: no augmentation. Under `strength` none, all but local are this.

    Raises:
        UserError: a setting out of its range.

    Example:
        >>> import numpy as np
        >>> image = Image(size=16)
        >>> items = [np.full((3, 20, 24), value, np.uint8) for value in (0, 255)]
        >>> image.fit(items)
        >>> batch = image.collate([image.pack(item) for item in items])
        >>> image.preprocess(batch).shape
        torch.Size([2, 1, 16, 16])
    """

    encoder = "resnet"
    axes = "BCHW"
    precedence = 10
    files = True

    def __init__(
        self,
        *,
        size: Annotated[int, Range(8, 4096)] | None = None,
        channels: Annotated[int, Range(1, 4096)] | None = None,
        strength: Literal["strong", "light", "none"] = "strong",
        flip: bool | None = None,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        augmentation: AugmentationChoice | None = None,
    ) -> None:
        if size is not None and size < 8:
            raise UserError(f"image: size={size}: expected at least 8 pixels.")
        if channels is not None and channels < 1:
            raise UserError(f"image: channels={channels}: expected 1, 3, or what your arrays have.")
        for name, value in (("mean", mean), ("std", std)):
            if value is not None and channels is not None and len(value) != channels:
                raise UserError(
                    f"image: {name} has {len(value)} numbers: expected one for each of {channels} channels."
                )
        if std is not None and not all(s > 0 for s in std):
            raise UserError(f"image: std={std}: expected numbers above 0.")
        self.size, self.channels = size or 0, channels or 0
        self.strength, self.flip, self.farther = strength, flip, 0.5
        self.mean, self.std = list(mean or []), list(std or [])
        self.augmentation = augmentation_of(augmentation)

    @classmethod
    def recognise(cls, column: Column) -> Claim | None:
        """Says why a column holds images, by its cells."""
        return recognise(column)

    def read(self, cell: Any, folder: Path) -> np.ndarray:
        """Decodes one picture; a large one is shrunk, its proportions kept.

        Args:
            cell: A path, bytes, an array or a PIL image; `picture` lists the forms.
            folder: Paths are relative to it.

        Returns:
            (C, H, W) uint8.

        Raises:
            Unreadable: with the reason.
        """
        most = max(_KEPT, self.size)
        item = picture(cell, folder, self.channels, most)
        short = min(item.shape[1:])
        if short <= most:
            return item
        return _resize(item, round(item.shape[1] * most / short), round(item.shape[2] * most / short))

    def fit(self, items: Sequence[np.ndarray]) -> None:
        """Learns size, channels, mean, standard deviation and mirroring, where the user gave none."""
        if not items:
            raise UserError("image: no picture among the rows could be read, so neither size nor colours are known.")
        if not self.size:
            middle = float(np.median([min(item.shape[1:]) for item in items]))
            self.size = int(np.clip(8 * round(middle / 8), 16, 64))
        if not self.channels:
            self.channels = 1 if all(_is_grey(item) for item in items) else 3
        for name, value in (("mean", self.mean), ("std", self.std)):
            if value and len(value) != self.channels:
                raise UserError(f"image: {name} has {len(value)} numbers, but the pictures {self.channels} channels.")
        if self.flip is None and self.channels == 3 and self.strength != "none":
            some = [torch.from_numpy(self.pack(item)) for item in items[:: max(1, len(items) // mirroring.LOOKED_AT)]]
            self.farther = mirroring.farther(F.adaptive_avg_pool2d(torch.stack(some).float(), _RAW))
        if self.mean and self.std:
            return
        packed = [self.pack(item).reshape(self.channels, -1) / 255 for item in items[:_SAMPLE]]
        mean_C = np.mean([p.mean(1) for p in packed], axis=0)
        std_C = np.sqrt(np.mean([(p**2).mean(1) for p in packed], axis=0) - mean_C**2)
        self.mean = self.mean or [round(float(m), 4) for m in mean_C]
        # A nearly blank sample must not blow noise up.
        self.std = self.std or [round(max(float(s), 0.05), 4) for s in std_C]

    def pack(self, item: np.ndarray) -> np.ndarray:
        """Cuts the middle square, or squeezes the whole picture if that loses over half.

        It squeezes rather than pads: padding wastes pixels, and a crop of nothing but padding is a false positive.

        Returns:
            (C, S, S) uint8.
        """
        item = self._coloured(item)
        high, wide = item.shape[1:]
        if max(high, wide) <= _ELONGATED * min(high, wide):
            side = min(high, wide)
            top, left = (high - side) // 2, (wide - side) // 2
            item = item[:, top : top + side, left : left + side]
        return _resize(item, self.size, self.size)

    def collate(self, packed: Sequence[np.ndarray]) -> Tensor:
        """Stacks cached rows: (B, C, S, S) uint8."""
        return torch.from_numpy(packed if isinstance(packed, np.ndarray) else np.stack(packed))

    def preprocess(self, batch: Tensor) -> Tensor:
        """Normalises pixels: (B, C, S, S) float32."""
        return self._normalised(batch.float().div_(255))

    def augment(
        self,
        batch: Tensor,
        key_B: Tensor,
        row_B: Tensor | None = None,
        role: Role = "global",
        step_B: Tensor | None = None,
    ) -> Tensor:
        """Random crop, mirror image and colours by `strength` and role, normalised: (B, C, S, S) float32.

        "light" mirrors all images of a row together, so that a mirrored pair is one more pair. Local views have a
        smaller S.
        """
        if role == "original":
            return self.preprocess(batch)
        streams = streams_of(key_B, row_B, step_B)
        size = _local_side(self.size) if role == "local" else None
        if self.strength == "none" and role != "local":
            return applied(self.augmentation, self.preprocess(batch), streams, role)
        alone = self.flip if self.flip is not None else self.strength == "strong" and self._mirrors
        strength = replace(self._strength(role), flip=0.5 * alone)
        mirrored_B = None
        if self.strength == "light" and self.flip is None and self._mirrors and row_B is not None:
            mirrored_B = random_streams.uniform(random_streams.fork(row_B, 0), 1)[:, 0] < 0.5
        seen = augment(batch, key_B, strength, mean=self.mean, std=self.std, mirrored_B=mirrored_B, size=size)
        if role == "strong":
            seen = Cutout()(seen, streams.fork(_CUTOUT))
        return applied(self.augmentation, seen, streams, role)

    def augments(self, role: Role) -> bool:
        """False for "original", and for all but "local" if the strength is none and no augmentation is named."""
        off = self.strength == "none" and self.augmentation is None
        return role == "local" if off else role != "original"

    def _strength(self, role: Role) -> Strength:
        own = {"strong": STRONG, "light": LIGHT, "none": WEAK}[self.strength]
        if role == "local":
            return replace(own, smallest_crop=SMALL_CROP[0], largest_crop=SMALL_CROP[1])
        return {"strong": STRONG, "weak": WEAK, "context": WEAK}.get(role, own)

    def note(self) -> str:
        """Says whether images are mirrored, and why."""
        if self.flip is not None or self.channels != 3 or self.strength == "none":
            return ""
        there = f"{self.farther:.0%} of mirror images lie farther from the other pictures than the pictures themselves"
        if self._mirrors:
            return f"also mirrored: {there}, about half"
        return f"not mirrored: {there}, so they may mean something else; flip=true mirrors them"

    @property
    def _mirrors(self) -> bool:
        return self.channels == 3 and self.farther <= mirroring.MOST

    def raw(self, batch: Tensor) -> Tensor:
        """Pixels at 8 x 8, minus the mean of the image, as features.

        (B, 64 C) float32; pixels are in 0..1, the mean is over all channels.

        The best by cosine of 15 such features over three sets (two drawings of an emoji, CIFAR-10, Omniglot): 8 pixels
        beat 16 and 32; subtracting one mean beat none, one per channel, white, and unit variance.
        """
        x_BCHW = F.adaptive_avg_pool2d(batch.float().div_(255), _RAW)
        return (x_BCHW - x_BCHW.mean((1, 2, 3), keepdim=True)).flatten(1)

    def export_entry(self) -> ExportEntry:
        """Inputs of an exported graph."""
        return ImageEntry(self)

    @classmethod
    def masking(cls) -> Masking:
        """Masked cells."""
        return MASKING

    @classmethod
    def miniature(cls) -> Miniature:
        """Small images."""
        return MINIATURE

    def likeness(self, batch: Tensor) -> Tensor:
        """Pixels at 16 x 16, minus the mean of the image: (B, 256 C)."""
        x_BCHW = F.adaptive_avg_pool2d(batch.float(), _LIKENESS)
        return (x_BCHW - x_BCHW.mean((1, 2, 3), keepdim=True)).flatten(1)

    def is_flat(self, packed: np.ndarray) -> bool:
        """Whether all pixels are equal."""
        return bool(packed.min() == packed.max())

    def dimensions(self, lengths: np.ndarray) -> str:
        """Pixels per side, and whether images are grey."""
        return f"seen at {self.size} x {self.size}, {'grey' if self.channels == 1 else 'coloured'}"

    @classmethod
    def examples(cls, n: int) -> list[Any]:
        """Smooth colour gradients of differing size."""
        cells = []
        for k in range(n):
            y, x = np.mgrid[0 : 20 + k % 3, 0 : 24 + k % 5].astype(np.float32)
            planes = [np.sin(0.2 * (1 + k % 7) * x + k), np.cos(0.3 * y * (1 + k % 3) + k), np.sin(0.1 * (x + y) * k)]
            cells.append(np.uint8(127.5 * (1 + np.stack(planes, -1))))
        return cells

    def show(self, packed: np.ndarray) -> str:
        """Renders an <img> tag with the PNG inside."""
        pixels = packed.transpose(1, 2, 0) if len(packed) == 3 else packed[0]
        png = io.BytesIO()
        Pil.fromarray(np.ascontiguousarray(pixels)).save(png, "PNG")
        return f'<img alt="" src="data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}">'

    def look(self, view: Tensor) -> str:
        """Renders a view with its normalisation undone."""
        mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (self.mean, self.std))
        pixels = (view.cpu() * std + mean).clamp(0, 1).mul(255).round().to(torch.uint8)
        return self.show(pixels.numpy())

    def facts(self) -> dict[str, Any]:
        """Channels and size, for the encoder."""
        return {"channels": self.channels, "size": self.size}

    def state(self) -> dict[str, Any]:
        """Size, channels, mean and standard deviation."""
        return {"size": self.size, "channels": self.channels, "mean": self.mean, "std": self.std}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned."""
        self.size, self.channels = state["size"], state["channels"]
        self.mean, self.std = list(state["mean"]), list(state["std"])

    def _normalised(self, x_BCHW: Tensor) -> Tensor:
        mean, std = (torch.tensor(v, device=x_BCHW.device).view(-1, 1, 1) for v in (self.mean, self.std))
        return x_BCHW.sub_(mean).div_(std)

    def _coloured(self, item: np.ndarray) -> np.ndarray:
        if len(item) == self.channels:
            return item
        if len(item) == 1:
            return item.repeat(self.channels, 0)
        grey = np.tensordot(np.asarray(LUMA, np.float32), item, 1) + np.float32(0.5)
        return grey.astype(np.uint8)[None].repeat(self.channels, 0)


def _local_side(size: int) -> int:
    """Side of a local view in pixels, a multiple of 8: 16 at 32, 24 at 64, 96 at 224."""
    return min(size, max(_SMALLEST, 8 * round(_LOCAL * size / 8)))


def _resize(item: np.ndarray, high: int, wide: int) -> np.ndarray:
    """Antialiased bilinear resizing, uint8 to uint8."""
    if item.shape[1:] == (high, wide):
        return np.ascontiguousarray(item)
    x = torch.from_numpy(np.require(item, requirements=["C", "W"]))[None]
    return F.interpolate(x, (high, wide), mode="bilinear", antialias=True, align_corners=False)[0].numpy()


def _is_grey(item: np.ndarray) -> bool:
    """Whether channels differ by no more than JPEG's chroma leaves on a grey picture."""
    return len(item) == 1 or (len(item) == 3 and int(np.ptp(item.astype(np.int16), axis=0).max()) <= 8)

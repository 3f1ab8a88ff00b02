"""Videos as clips of a few frames, drawn from each video and augmented in whole batches.

Axis letters: B rows, K clips, T frames of a clip, L frames of a video, C channels, S the side of a frame.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import AugmentationChoice
from kontrast.data.export_entry import ExportEntry
from kontrast.data.modality import Modality
from kontrast.data.remark import Remark, Rows, span
from kontrast.data.schema.column import Claim, Column
from kontrast.data.store import Store
from kontrast.data.view import Role
from kontrast.modalities.image.image import Image
from kontrast.modalities.video.clips import cut
from kontrast.modalities.video.examples import moving
from kontrast.modalities.video.export_entry import VideoEntry
from kontrast.modalities.video.frames import frames
from kontrast.modalities.video.preview import animation
from kontrast.modalities.video.recognise import recognise
from kontrast.modalities.video.remarks import remarks

_DRAWN = 4  # random clips of a row per step, one of which each view takes
_WINDOWS = 4  # clips at embedding, at most, unless set
_STRIDE = 4  # frames between those of a clip, at most, unless set
_SMALL = 128  # pixels of a short side that `read` keeps until the size is known
_RAW, _LIKENESS = 8, 12  # pixels per side
_PICK, _PART = 0, 1  # branches of the random streams


class Video(Modality):
    """Videos of any length: animated pictures (GIF, PNG, WebP), stacks, lists or folders of frames.

    Each view is a clip of a video, so that two views of one video are the pair. All frames of a clip get the same
    augmentation, that of images.

    Args:
        frames: Frames of a clip.
        stride: Frames of the video from one frame of a clip to the next; by default half of the videos are twice as
            long as a clip, between 1 and 4.
        windows: Clips whose embeddings are averaged for a video; by default as many as cover nine tenths of the
            training rows, at most 4.
        crop: Smallest share that a clip keeps of a video that is no longer than a clip; 1 for all.
        most: Frames kept of a video; longer ones are thinned evenly.
        size: Side of the frames in pixels; by default as for images, from 16 to 64.
        channels: 1 or 3; by default 1 if the whole sample is grey, else 3. Arrays may have another number if it is set.
        strength: Of the augmentations. "strong": two clips of one video are the pair. "light": the pairs come from the
            data (a video and its caption, labels). "none": no augmentation; the middle clip.
        flip: Whether mirror images mean the same; off by default, since what moves left then moves right.
        mean: Per channel, in 0..1; by default the mean of the sample.
        std: Per channel, above 0; by default the standard deviation of the sample, at least 0.05.
        augmentation: One more of images, by name, applied last to each frame of a clip alike.

    Roles of views:
        global, strong, weak, context: as for images, the same for all frames of the clip.
        local: a small crop of half of the frames.
        original: the middle clip without augmentation.

    Raises:
        UserError: a setting out of its range.

    Reference:
        CVRL, Qian et al. 2021, arXiv:2008.03800 (clips as views, augmentations alike over frames).

    Example:
        >>> video = Video(frames=4, size=16)
        >>> items = [video.read(cell, Path()) for cell in video.examples(3)]
        >>> video.fit(items)
        >>> batch = video.collate([video.pack(item) for item in items])
        >>> video.preprocess(batch).shape
        torch.Size([3, 4, 3, 16, 16])
    """

    encoder = "video_resnet"
    axes = "BTCHW"
    precedence = 8  # before images, which claim all files of pictures
    files = True
    draws = True

    def __init__(
        self,
        *,
        frames: Annotated[int, Range(2, 1024)] = 8,
        stride: Annotated[int, Range(1, 1000)] | None = None,
        windows: Annotated[int, Range(1, 100)] | None = None,
        crop: Annotated[float, Range(0.05, 1)] = 0.7,
        most: Annotated[int, Range(2, 100_000)] = 512,
        size: Annotated[int, Range(8, 4096)] | None = None,
        channels: Annotated[int, Range(1, 4096)] | None = None,
        strength: Literal["strong", "light", "none"] = "strong",
        flip: bool = False,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        augmentation: AugmentationChoice | None = None,
    ) -> None:
        self.frames, self.stride, self.count = frames, stride or 0, windows or 0
        self.crop, self.most, self.strength = crop, most, strength
        self.image = Image(
            size=size,
            channels=channels,
            strength=strength,
            flip=flip,
            mean=mean,
            std=std,
            augmentation=augmentation,
        )

    @classmethod
    def recognise(cls, column: Column) -> Claim | None:
        """Says why a column holds videos, by its cells."""
        return recognise(column)

    def read(self, cell: Any, folder: Path) -> np.ndarray:
        """Decodes one video; large frames are shrunk, their proportions kept.

        Args:
            cell: A path of a file or of a folder, bytes, an array or a list of pictures; `frames` lists the forms.
            folder: Paths are relative to it.

        Returns:
            (L, C, H, W) uint8.

        Raises:
            Unreadable: with the reason.
        """
        return frames(cell, folder, self.image.channels, self.most, self._shrunk)

    def fit(self, items: Sequence[np.ndarray]) -> None:
        """Learns size, colours, stride and number of clips, where the user gave none."""
        if not items:
            raise UserError("video: no video among the rows could be read, so neither size nor length is known.")
        self.image.fit([item[len(item) // 2] for item in items])
        lengths = np.array([len(item) for item in items])
        if not self.stride:
            self.stride = int(np.clip(np.median(lengths) // (2 * self.frames), 1, _STRIDE))
        if not self.count:
            clips = np.ceil(np.quantile(lengths, 0.9) / (self.frames * self.stride))
            self.count = int(np.clip(clips, 1, _WINDOWS))

    def pack(self, item: np.ndarray) -> np.ndarray:
        """Frames as squares of one size, cut or squeezed as images are.

        Returns:
            (L, C, S, S) uint8.
        """
        return np.stack([self.image.pack(frame) for frame in item])

    def collate(self, packed: Sequence[Any]) -> Tensor:
        """The middle clip of each video, and the evenly spaced ones that are embedded.

        Returns:
            (B, K, T, C, S, S) uint8, the middle clip first.
        """
        return self._cut(packed, self._spaced(len(packed)), np.ones(len(packed)))

    def batch(self, store: Store, index: np.ndarray, streams: Streams | None) -> Tensor:
        """The middle clip of each video and, in training, four random ones.

        Returns:
            (B, K, T, C, S, S) uint8, the middle clip first.
        """
        packed = store.rows(index)
        if streams is None:
            return self.collate(packed)
        drawn = random_streams.uniform(streams.view_B, _DRAWN + 1).double().numpy()
        share_B = self.crop + (1 - self.crop) * drawn[:, _DRAWN]
        return self._cut(packed, drawn[:, :_DRAWN], share_B)

    def preprocess(self, batch: Tensor) -> Tensor:
        """The middle clip, normalised: (B, T, C, S, S) float32."""
        return self._seen(batch[:, 0])

    def windows(self, batch: Tensor) -> list[Tensor]:
        """Evenly spaced clips of each video, whose embeddings are averaged; the middle one alone for short videos."""
        clips = range(1, batch.shape[1]) if batch.shape[1] > 1 else (0,)
        return [self._seen(batch[:, clip]) for clip in clips]

    def augment(
        self,
        batch: Tensor,
        key_B: Tensor,
        row_B: Tensor | None = None,
        role: Role = "global",
        step_B: Tensor | None = None,
    ) -> Tensor:
        """One of the clips of each video, all its frames augmented alike: (B, T, C, S, S) float32.

        Local views have a smaller S and half of the frames.
        """
        if role == "original" or (self.strength == "none" and role != "local"):
            clip = batch[:, 0]
        else:
            some = batch[:, 1:] if batch.shape[1] > 1 else batch
            pick_B = self._place(key_B, _PICK, some.shape[1])
            clip = some[torch.arange(len(some), device=some.device), pick_B]
        if role == "local":
            half = max(1, self.frames // 2)
            start_B = self._place(key_B, _PART, self.frames - half + 1)
            at_BT = start_B[:, None] + torch.arange(half, device=clip.device)
            clip = clip[torch.arange(len(clip), device=clip.device)[:, None], at_BT]
        count = clip.shape[1]
        keys = [None if key is None else key.repeat_interleave(count) for key in (key_B, row_B, step_B)]
        assert keys[0] is not None
        seen = self.image.augment(clip.flatten(0, 1), keys[0], keys[1], role, keys[2])
        return seen.unflatten(0, (-1, count))

    def augments(self, role: Role) -> bool:
        """As for images: False for "original", and for all but "local" if the strength is none."""
        return self.image.augments(role)

    def raw(self, batch: Tensor) -> Tensor:
        """Mean, spread and course over time of pixels at 8 x 8.

        (B, 192 C) float32: the mean frame minus its mean, the standard deviation over time, and the mean of the later
        half minus that of the earlier one.
        """
        x = self._small(batch, _RAW).div_(255)
        middle, half = x.mean(1), x.shape[1] // 2
        middle = middle - middle.mean((1, 2, 3), keepdim=True)
        return torch.cat([middle, x.std(1, correction=0), x[:, half:].mean(1) - x[:, :half].mean(1)], 1).flatten(1)

    def likeness(self, batch: Tensor) -> Tensor:
        """Pixels at 12 x 12 of the first, middle and last frame, minus their mean: (B, 432 C)."""
        x = self._small(batch, _LIKENESS)
        x = x[:, [0, x.shape[1] // 2, -1]]
        return (x - x.mean((1, 2, 3, 4), keepdim=True)).flatten(1)

    def is_flat(self, packed: np.ndarray) -> bool:
        """Whether all pixels of all frames are equal."""
        return bool(packed.min() == packed.max())

    def dimensions(self, lengths: np.ndarray) -> str:
        """Frames of rows, and pixels per side."""
        return f"{span(lengths, 'frames')}, {self.image.dimensions(lengths)}"

    def remarks(self, rows: Rows) -> list[Remark]:
        """Lengths, single frames, videos that stand still or are shorter than a clip."""
        return remarks(rows, self.frames, self.stride)

    def export_entry(self) -> ExportEntry:
        """Frames of one clip."""
        facts = self.facts()
        return VideoEntry(self._seen, self._middle, **facts, stride=self.stride)

    @classmethod
    def examples(cls, n: int) -> list[Any]:
        """Squares that move over a ground of another colour, 9 to 20 frames."""
        return [moving(k) for k in range(n)]

    def show(self, packed: np.ndarray) -> str:
        """Renders an animated picture of at most 8 frames."""
        return animation(packed)

    def look(self, view: Tensor) -> str:
        """Renders a view as an animated picture, with its normalisation undone."""
        mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (self.image.mean, self.image.std))
        pixels = (view.float().cpu() * std + mean).clamp(0, 1).mul(255).round().to(torch.uint8)
        return animation(pixels.numpy())

    def facts(self) -> dict[str, Any]:
        """Channels, size and frames of a clip, for the encoder."""
        return {**self.image.facts(), "frames": self.frames}

    def note(self) -> str:
        """Says how long a clip is and how many are embedded."""
        apart = f", {self.stride} apart" if self.stride > 1 else ""
        several = f", {self.count} clips per video at embedding" if self.count > 1 else ""
        return f"clips of {self.frames} frames{apart}{several}"

    def state(self) -> dict[str, Any]:
        """What images keep (size, channels, mean, standard deviation), stride and number of clips."""
        return {**self.image.state(), "stride": self.stride, "windows": self.count}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned."""
        self.image.restore(state)
        self.stride, self.count = state["stride"], state["windows"]

    def _cut(self, packed: Sequence[Any], start_BK: np.ndarray, share_B: np.ndarray) -> Tensor:
        """The middle clip of each video, then clips that begin at some share of what a clip leaves."""
        start_BK = np.concatenate([np.full((len(packed), 1), 0.5), start_BK], 1)
        share_BK = np.concatenate([np.ones((len(packed), 1)), share_B[:, None].repeat(start_BK.shape[1] - 1, 1)], 1)
        return torch.from_numpy(cut(packed, start_BK, share_BK, count=self.frames, stride=self.stride))

    def _spaced(self, rows: int) -> np.ndarray:
        """(B, K) starts of evenly spaced clips; none if the middle one is enough."""
        starts = np.linspace(0, 1 - 1e-9, self.count) if self.count > 1 else np.zeros(0)
        return np.broadcast_to(starts, (rows, len(starts)))

    def _middle(self, packed: Sequence[np.ndarray]) -> np.ndarray:
        half, whole = np.full((len(packed), 1), 0.5), np.ones((len(packed), 1))
        return cut(packed, half, whole, count=self.frames, stride=self.stride)[:, 0]

    def _seen(self, clips: Tensor) -> Tensor:
        """(B, T, C, S, S) uint8 to float32, normalised."""
        return self.image.preprocess(clips.flatten(0, 1)).unflatten(0, (-1, self.frames))

    def _place(self, key_B: Tensor, branch: int, count: int) -> Tensor:
        """(B,) int64 below a number, from a branch of the row's stream."""
        drawn = random_streams.uniform(random_streams.fork(key_B, branch), 1)[:, 0]
        return (drawn * count).long().clamp_(max=count - 1)

    def _small(self, batch: Tensor, side: int) -> Tensor:
        """(B, K T, C, side, side) float32: the frames of all clips, in the order of time."""
        x = (batch[:, 1:] if batch.shape[1] > 1 else batch).flatten(1, 2)
        return F.adaptive_avg_pool2d(x.flatten(0, 1).float(), side).unflatten(0, (len(x), -1))

    def _shrunk(self, frame: np.ndarray) -> np.ndarray:
        """A frame whose short side is at most what `pack` needs; that of a smaller one stays."""
        most, short = max(_SMALL, self.image.size), min(frame.shape[1:])
        if short <= most:
            return frame
        size = [max(1, round(side * most / short)) for side in frame.shape[1:]]
        x = torch.from_numpy(np.require(frame, requirements=["C", "W"]))[None]
        return F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)[0].numpy()

"""Sounds as log-mel spectrograms or waveforms, cut and changed in whole batches.

Axis letters: B rows, C channels, T samples of a clip, N samples of a view, M mel bands, F frames.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import Unreadable, UserError, needs
from kontrast.core.factory import Range
from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import AugmentationChoice, applied, augmentation_of, streams_of
from kontrast.data.export_entry import ExportEntry
from kontrast.data.modality import Modality
from kontrast.data.remark import Remark, Rows
from kontrast.data.schema.column import Claim, Column
from kontrast.data.view import Role
from kontrast.modalities.audio import preview
from kontrast.modalities.audio.changes import Changes, changed
from kontrast.modalities.audio.clip import Clip, clip, made
from kontrast.modalities.audio.examples import chord
from kontrast.modalities.audio.export_entry import AudioEntry
from kontrast.modalities.audio.log_mel import log_mel
from kontrast.modalities.audio.recognise import recognise
from kontrast.modalities.audio.remarks import remarks
from kontrast.modalities.audio.statistics import WIDTH, statistics
from kontrast.modalities.audio.waves import ABSENT, LOUDEST, cut, known, lengths

FASTEST = 16_000  # samples per second by default: speech and most sounds keep what tells them apart
_SHORTEST, _USUAL = 0.25, 1.0  # seconds of a view by default
_WINDOWS = 8  # at embedding, at most, unless set
_SAMPLE = 256  # clips for means and deviations
_QUIET = math.log(1e-8)  # power below it is the noise of a codec
_EXAMPLE = 8000  # samples per second of examples
_PIECE = 32  # rows whose spectrograms are computed at a time, so that what lies between stays in the cache


class Audio(Modality):
    """Sounds of any length: files (wav, flac, ogg, mp3), encoded bytes, or arrays with their rate.

    Every view is a random segment of its clip, so that two views of one sound are the pair. Needs the extra `audio`.

    Args:
        rate: Samples per second that all clips are brought to; by default the commonest of the training rows, at most
            16,000. Arrays that come without a rate have this one.
        channels: 1 mixes all channels into one; 2 keeps stereo.
        seconds: Length of a view; by default the median length of the training rows, between 0.25 and 1 s.
        windows: Segments of up to four views' length whose embeddings are averaged for a clip; by default as many as
            cover nine tenths of the training rows, at most 8.
        input: What the encoder sees: "log_mel" spectrograms, normalised per band, or the "wave" itself, with mean 0 and
            deviation 1 per clip. An encoder of waveforms asks for "wave".
        mels: Bands of the spectrogram.
        window: Seconds of a frame.
        hop: Seconds from frame to frame.
        crop: Smallest share that a view keeps of a clip that is no longer than a view; 1 for all.
        loudness: Whether the encoder sees how loud a clip is; by default each spectrogram has mean 0. Digits of unseen
            speakers, linear probe: .86 without, .60 with it, as microphones differ.
        gain: Largest change of the loudness in decibels, if the encoder sees it; 0 for none.
        noise: Share of the views with noise, 10 to 40 dB below the sound.
        filter: Share of the views with a low or high pass.
        reverb: Share of the views that ring.
        pitch: Largest change of pitch and speed in semitones; 0 for none.
        stretch: Largest further change of speed (0.1: 10 %); 0 for none.
        fade: Largest change of the level towards either end, in standard deviations; 0 for none.
        mask: Largest share of time, and of frequency, that one of two spans hides (SpecAugment); 0 for none.
        polarity: Share of inverted views; only encoders of waveforms see it.
        strength: "strong": all changes above. "light": segments alone, for pairs that come from the data (a sound and
            its caption, labels). "none": no augmentation.
        augmentation: One more, by name, applied last.

    Roles of views:
        global: a random segment, with all changes above.
        local: a segment of half the length, with all changes.
        weak: a segment, without other changes.
        strong: as global, with twice the changes.
        context: the first half of a segment, without other changes.
        original: no augmentation: the middle of the clip, up to four views' length.

    Raises:
        UserError: a setting out of its range.

    Example:
        >>> import numpy as np
        >>> audio = Audio(rate=8000)
        >>> items = [audio.read((np.sin(np.arange(n) / 9), 8000), None) for n in (4000, 8000)]
        >>> audio.fit(items)
        >>> batch = audio.collate([audio.pack(item) for item in items])
        >>> audio.preprocess(batch).shape
        torch.Size([2, 1, 64, 98])
    """

    encoder = "audio_cnn"
    axes = "BCMF"
    files = True
    all_flat = (
        "every sound is silent, so there is nothing to learn from. Check that the files are those that were meant, and "
        "that arrays are scaled to -1..1."
    )
    precedence = 20

    def __init__(
        self,
        *,
        rate: Annotated[int, Range(1000, 192_000)] | None = None,
        channels: Annotated[int, Range(1, 2)] = 1,
        seconds: Annotated[float, Range(0.02, 600)] | None = None,
        windows: Annotated[int, Range(1, 1000)] | None = None,
        input: Literal["log_mel", "wave"] = "log_mel",
        mels: Annotated[int, Range(8, 512)] = 64,
        window: Annotated[float, Range(0.002, 1)] = 0.025,
        hop: Annotated[float, Range(0.001, 1)] = 0.01,
        crop: Annotated[float, Range(0.05, 1)] = 0.8,
        loudness: bool = False,
        gain: Annotated[float, Range(0, 60)] = 0.0,
        noise: Annotated[float, Range(0, 1)] = 0.0,
        filter: Annotated[float, Range(0, 1)] = 0.0,
        reverb: Annotated[float, Range(0, 1)] = 0.0,
        pitch: Annotated[float, Range(0, 24)] = 2.0,
        stretch: Annotated[float, Range(0, 0.9)] = 0.1,
        fade: Annotated[float, Range(0, 10)] = 0.0,
        mask: Annotated[float, Range(0, 0.9)] = 0.1,
        polarity: Annotated[float, Range(0, 1)] = 0.0,
        strength: Literal["strong", "light", "none"] = "strong",
        augmentation: AugmentationChoice | None = None,
    ) -> None:
        self.rate, self.channels, self.seconds, self.count = rate or 0, channels, seconds or 0.0, windows or 0
        self.input, self.mels, self.window, self.hop = input, mels, window, hop
        self.crop, self.loudness = crop, loudness
        self.changes = Changes(pitch, filter, reverb, noise, gain, polarity, stretch, fade, mask)
        self.strength, self.augmentation = strength, augmentation_of(augmentation)
        self._asked_rate, self._mean, self._std = rate, [0.0] * mels, [1.0] * mels
        self._raw_mean, self._raw_std = [0.0] * WIDTH, [1.0] * WIDTH

    @classmethod
    def recognise(cls, column: Column) -> Claim | None:
        """Says why a column holds sounds, by its cells."""
        return recognise(column)

    def read(self, cell: Any, folder: Path) -> Clip:
        """Decodes one sound.

        Args:
            cell: A path, bytes, or an array with its rate; `clip` lists the forms.
            folder: Paths are relative to it.

        Returns:
            (T, C) float32 in -1..1 with its rate; already with the rate and channels of the setting, if there are any.

        Raises:
            Unreadable: with the reason.
        """
        found = self._mixed(clip(cell, folder, self._asked_rate))
        return self._resampled(found, self.rate or min(found.rate, FASTEST))

    def fit(self, items: Sequence[np.ndarray]) -> None:
        """Learns rate, lengths, and what the spectrograms have in common, where the user gave none."""
        if not (clips := [item for item in items if isinstance(item, Clip)]):
            raise UserError("audio: no sound among the rows could be read; expected wav, flac, ogg or mp3 files.")
        if not self.rate:
            rates = [item.rate for item in clips]
            self.rate = max(set(rates), key=lambda rate: (rates.count(rate), rate))
        durations = np.array([len(item) / item.rate for item in clips])
        if not self.seconds:
            self.seconds = float(np.clip(np.median(durations), _SHORTEST, _USUAL))
        if not self.count:
            self.count = int(np.clip(np.ceil(np.quantile(durations, 0.9) / self._reach), 1, _WINDOWS))
        batch = self.collate([self.pack(item) for item in clips[:_SAMPLE]])
        logs = self._levelled(self._middle(batch))
        frames = logs.transpose(2, 3).reshape(-1, self.mels)
        frames = frames[~frames[:, 0].isnan()].double()
        self._mean, self._std = frames.mean(0).tolist(), frames.std(0, correction=0).clamp_min(0.1).tolist()
        raw = self._statistics(batch).double()
        self._raw_mean, self._raw_std = raw.mean(0).tolist(), raw.std(0, correction=0).clamp_min(1e-2).tolist()

    def pack(self, item: np.ndarray) -> np.ndarray:
        """A clip at the rate of the data, with its number of channels.

        Returns:
            (T, C) int16, T at least 1.
        """
        assert isinstance(item, Clip)
        samples = self._resampled(self._mixed(item), self.rate)
        peak = max(1.0, float(np.abs(samples).max()))  # resampling may overshoot
        return np.round(np.asarray(samples) * (LOUDEST / peak)).astype(np.int16)

    def collate(self, packed: Sequence[np.ndarray]) -> Tensor:
        """Pads clips to the longest: (B, C, T) int16, -32768 after the end."""
        batch = np.full((len(packed), self.channels, max(map(len, packed))), ABSENT, np.int16)
        for row, samples in zip(batch, packed, strict=True):
            row[:, : len(samples)] = samples.T
        return torch.from_numpy(batch)

    def preprocess(self, batch: Tensor) -> Tensor:
        """The middle of each clip as the encoder sees it, without augmentation.

        Returns:
            (B, C, M, F) float32, NaN in frames after the end; or (B, C, N), NaN after the end, if `input` is "wave".
        """
        return self._seen(self._middle(batch))

    def windows(self, batch: Tensor) -> list[Tensor]:
        """Several evenly spaced segments of each clip, whose embeddings are averaged; the middle alone for short clips.

        Returns:
            Batches as `preprocess` gives them; their number is the same for all rows.
        """
        if self.count <= 1:
            return [self.preprocess(batch)]
        span, long_B = self._samples(self._reach), lengths(batch)
        room_B, kept_B = (long_B - span).clamp_min(0), long_B.clamp_max(span)
        starts = [room_B * place // (self.count - 1) for place in range(self.count)]
        return [self._seen(cut(batch, start_B, kept_B, min(span, batch.shape[-1]))) for start_B in starts]

    def augment(
        self,
        batch: Tensor,
        key_B: Tensor,
        row_B: Tensor | None = None,
        role: Role = "global",
        step_B: Tensor | None = None,
    ) -> Tensor:
        """A random segment of each clip, changed by strength and role, as `preprocess` gives it.

        Local and context views are half as long.
        """
        if role == "original":
            return self.preprocess(batch)
        streams = streams_of(key_B, row_B, step_B)
        if self.strength == "none" and role not in ("local", "context"):
            return applied(self.augmentation, self.preprocess(batch), streams, role)
        x = self._segment(batch, streams, 0.5 if role in ("local", "context") else 1.0)
        strong = self.strength == "strong" and role in ("global", "local", "strong")
        changes = self.changes.times(2.0 if role == "strong" else 1.0) if strong else Changes()
        x = changed(x, changes.of_waves(self.rate), streams.fork(1))
        seen = self._seen(x)
        if self.input == "log_mel":
            seen = changed(seen, changes.of_spectrograms(), streams.fork(2))
        return applied(self.augmentation, seen, streams, role)

    def augments(self, role: Role) -> bool:
        """False for "original", and for all but "local" and "context" if the strength is none."""
        off = self.strength == "none" and self.augmentation is None
        return role in ("local", "context") if off else role != "original"

    def raw(self, batch: Tensor) -> Tensor:
        """Statistics of 20 cepstra over the whole clip, standardised over the training rows: (B, 140).

        Digits, linear probe: .97, unseen speakers .84; with mean and deviation of the log-mel bands .95 and .61.
        """
        mean, std = (torch.tensor(v, device=batch.device) for v in (self._raw_mean, self._raw_std))
        return (self._statistics(batch) - mean) / std

    def is_flat(self, packed: np.ndarray) -> bool:
        """Whether a clip is silent: no sample differs from the one before."""
        return bool((packed[1:] == packed[:-1]).all())

    def dimensions(self, lengths: np.ndarray) -> str:
        """Seconds of rows."""
        middle, most = float(np.median(lengths)) / self.rate, float(lengths.max()) / self.rate
        return f"{middle:.2f} s" if middle == most else f"{middle:.2f} s, at most {most:.2f}"

    def remarks(self, rows: Rows) -> list[Remark]:
        """Lengths, rates, silence, clipping and clips that are too short."""
        return remarks(rows, self.rate, self.seconds)

    def export_entry(self) -> ExportEntry:
        """Waveforms of one window, whose spectrograms are part of the graph."""
        samples = self._samples(self._reach)
        return AudioEntry(self._seen, rate=self.rate, channels=self.channels, samples=samples)

    @classmethod
    def examples(cls, n: int) -> list[Any]:
        """Decaying chords of differing pitch and length."""
        return [(chord(k, _EXAMPLE), _EXAMPLE) for k in range(n)]

    def show(self, packed: np.ndarray) -> str:
        """Renders a player with the first two seconds, and their spectrogram."""
        return preview.player(packed, self.rate)

    def look(self, view: Tensor) -> str:
        """Renders the spectrogram of what the encoder saw."""
        if self.input == "log_mel":  # two deviations around the mean
            return preview.drawing(view[0].float().cpu().numpy() / 4 + 0.5, f"view of {view.shape[-1]} frames")
        sound, absent = known(view[0].float().cpu())
        logs = self._logs((sound / 4).masked_fill(absent, torch.nan)[None])[0]
        return preview.drawing(logs.numpy() / 18 + 1, f"view of {view.shape[-1]} samples")

    def facts(self) -> Mapping[str, Any]:
        """Channels, mel bands, frames and samples of a view, and the rate, for the encoder."""
        samples = self._samples(self.seconds)
        frames = 1 + max(0, samples - self._window) // self._hop
        return {"channels": self.channels, "mels": self.mels, "frames": frames, "samples": samples, "rate": self.rate}

    def note(self) -> str:
        """Says what rate clips are brought to and how long a view is."""
        times = f", {self.count} windows per clip at embedding" if self.count > 1 else ""
        return f"{self.rate:,} samples per second, views of {self.seconds:.2f} s{times}"

    def state(self) -> dict[str, Any]:
        """Rate, length of views, number of windows, means and deviations."""
        return {
            "rate": self.rate,
            "seconds": self.seconds,
            "windows": self.count,
            "mean": self._mean,
            "std": self._std,
            "raw_mean": self._raw_mean,
            "raw_std": self._raw_std,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned."""
        self.rate, self.seconds, self.count = state["rate"], state["seconds"], state["windows"]
        self._mean, self._std = list(state["mean"]), list(state["std"])
        self._raw_mean, self._raw_std = list(state["raw_mean"]), list(state["raw_std"])

    @property
    def _reach(self) -> float:
        """Seconds of a segment at embedding: encoders of spectrograms take longer ones than they train on."""
        return 4 * self.seconds

    @property
    def _window(self) -> int:
        return max(8, round(self.window * self.rate))

    @property
    def _hop(self) -> int:
        return max(1, round(self.hop * self.rate))

    def _samples(self, seconds: float) -> int:
        return max(self._window, round(seconds * self.rate))

    def _mixed(self, item: Clip) -> Clip:
        if item.shape[1] == self.channels:
            return item
        mono = item.mean(1, keepdims=True) if item.shape[1] > 1 else item
        return made(np.repeat(np.asarray(mono), self.channels, 1), item.rate)

    def _resampled(self, item: Clip, rate: int) -> Clip:
        if item.rate == rate:
            return item
        found = needs("soxr", "audio").resample(np.asarray(item), item.rate, rate)
        if not len(found):
            raise Unreadable(f"{len(item)} samples at {item.rate:,} per second leave none at {rate:,}")
        return made(found, rate)

    def _middle(self, batch: Tensor) -> Tensor:
        """(B, C, N): up to four views' length around the middle of each clip."""
        span, long_B = self._samples(self._reach), lengths(batch)
        return cut(batch, (long_B - span).clamp_min(0) // 2, long_B.clamp_max(span), min(span, batch.shape[-1]))

    def _segment(self, batch: Tensor, streams: Streams, share: float) -> Tensor:
        """(B, C, N): a random part of each clip; of one no longer than a view, at least the share `crop`."""
        span, long_B = self._samples(share * self.seconds), lengths(batch)
        size_B, start_B = random_streams.uniform(streams.view_B, 2).to(batch.device).unbind(1)
        part_B = share * (self.crop + (1 - self.crop) * size_B)
        kept_B = (long_B * part_B).ceil().long().clamp(1, span)
        begin_B = ((long_B - kept_B + 1) * start_B).long()
        return cut(batch, begin_B, kept_B, span)

    def _seen(self, x: Tensor) -> Tensor:
        """What the encoder sees of waveforms (B, C, N) with NaN after the end."""
        if self.input == "wave":
            sound, absent = known(x)
            count = (~absent).sum((1, 2), keepdim=True).clamp_min(1)
            mean = sound.sum((1, 2), keepdim=True) / count
            spread = ((x - mean).nan_to_num(0.0).square().sum((1, 2), keepdim=True) / count).sqrt()
            return (x - mean) / spread.clamp_min(1e-4)
        mean, std = (torch.tensor(v, device=x.device)[:, None] for v in (self._mean, self._std))
        return (self._levelled(x) - mean) / std

    def _levelled(self, x: Tensor) -> Tensor:
        """(B, C, M, F) log-mel, with mean 0 per clip unless the setting loudness keeps its level."""
        logs = self._spectrogram(x).clamp_min(_QUIET)
        return logs if self.loudness else logs - logs.nanmean((1, 2, 3), keepdim=True)

    def _spectrogram(self, x: Tensor) -> Tensor:
        """(B, C, M, F) log-mel, NaN in frames that reach beyond the end; a clip shorter than a frame has one."""
        first = x[..., : self._window]
        x = torch.cat([first.nan_to_num(0.0), x[..., self._window :]], -1)
        return torch.cat([self._logs(part) for part in ([x] if torch.compiler.is_exporting() else x.split(_PIECE))])

    def _logs(self, x: Tensor) -> Tensor:
        return log_mel(x, rate=self.rate, window=self._window, hop=self._hop, mels=self.mels)

    def _statistics(self, batch: Tensor) -> Tensor:
        """(B, 140) of whole clips, mixed to one channel."""
        long_B = lengths(batch)
        parts = []
        for rows, long in zip(batch.split(_PIECE), long_B.split(_PIECE), strict=True):
            x = cut(rows, torch.zeros_like(long), long, int(long.max())).mean(1, keepdim=True)
            parts.append(statistics(self._spectrogram(x)[:, 0]))
        return torch.cat(parts)

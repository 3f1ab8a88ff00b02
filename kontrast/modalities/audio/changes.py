"""Which augmentations a view of a sound gets, and how strong."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from kontrast.core.random_streams import Streams
from kontrast.data.augmentation import Augmentation
from kontrast.modalities.audio.augmentations.band_filter import BandFilter
from kontrast.modalities.audio.augmentations.fade import Fade
from kontrast.modalities.audio.augmentations.gain import Gain
from kontrast.modalities.audio.augmentations.noise import Noise
from kontrast.modalities.audio.augmentations.pitch import Pitch
from kontrast.modalities.audio.augmentations.polarity import Polarity
from kontrast.modalities.audio.augmentations.reverb import Reverb
from kontrast.modalities.audio.augmentations.spec_augment import SpecAugment
from kontrast.modalities.audio.augmentations.stretch import Stretch

_ECHO = 4  # echoes end after a quarter of a second


@dataclass(frozen=True)
class Changes:
    """Amounts of the changes, as the settings of `Audio` describe them; 0 for none."""

    pitch: float = 0.0
    filter: float = 0.0
    reverb: float = 0.0
    noise: float = 0.0
    gain: float = 0.0
    polarity: float = 0.0
    stretch: float = 0.0
    fade: float = 0.0
    mask: float = 0.0

    def times(self, factor: float) -> "Changes":
        """The same changes, with their strength multiplied, as far as their ranges allow."""
        if factor == 1:
            return self
        most = {"pitch": 24.0, "gain": 60.0, "fade": 10.0, "stretch": 0.9, "mask": 0.9}
        larger = {name: min(most.get(name, 1.0), factor * amount) for name, amount in vars(self).items()}
        return replace(self, **{**larger, "polarity": self.polarity})

    def of_waves(self, rate: int) -> list[Augmentation]:
        """Augmentations of waveforms at a sampling rate."""
        parts = (
            (self.pitch, lambda: Pitch(semitones=self.pitch)),
            (self.filter, lambda: BandFilter(share=self.filter)),
            (self.reverb, lambda: Reverb(share=self.reverb, samples=max(2, rate // _ECHO))),
            (self.noise, lambda: Noise(share=self.noise)),
            (self.gain, lambda: Gain(decibels=self.gain)),
            (self.polarity, lambda: Polarity(share=self.polarity)),
        )
        return [make() for amount, make in parts if amount]

    def of_spectrograms(self) -> list[Augmentation]:
        """Augmentations of spectrograms."""
        parts = (
            (self.stretch, lambda: Stretch(most=self.stretch)),
            (self.fade, lambda: Fade(most=self.fade)),
            (self.mask, lambda: SpecAugment(time=self.mask, frequency=self.mask)),
        )
        return [make() for amount, make in parts if amount]


def changed(x: Tensor, augmentations: Sequence[Augmentation], streams: Streams) -> Tensor:
    """Several augmentations in turn, each with streams of its own."""
    for branch, augmentation in enumerate(augmentations):
        x = augmentation(x, streams.fork(branch))
    return x

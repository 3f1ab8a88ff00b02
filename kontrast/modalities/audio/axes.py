"""What an augmentation of sounds expects: waveforms (B, C, T) or spectrograms (B, C, M, F), NaN after the end."""

from torch import Tensor

from kontrast.core.errors import UserError

_WAVES, _SPECTROGRAMS = 3, 4  # axes


def expect_waves(name: str, x: Tensor) -> None:
    """Refuses what is no waveform.

    Raises:
        UserError: other axes.
    """
    if x.ndim != _WAVES:
        found = "spectrograms or images" if x.ndim == _SPECTROGRAMS else f"rows of {x.ndim - 1} axes"
        raise UserError(
            f"{name}: expected waveforms, found {found}. Set it in the modality audio, or take another one here."
        )


def expect_spectrograms(name: str, x: Tensor) -> None:
    """Refuses what is no spectrogram.

    Raises:
        UserError: other axes.
    """
    if x.ndim != _SPECTROGRAMS:
        raise UserError(
            f"{name}: expected spectrograms, found rows of {x.ndim - 1} axes. Leave it out of this view, or set "
            "input=log_mel."
        )

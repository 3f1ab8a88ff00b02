"""Sounds and spectrograms as self-contained HTML: a player for a short sound, and a picture."""

import base64
import io
import wave

import numpy as np
import torch
from PIL import Image as Pil

from kontrast.modalities.audio.log_mel import log_mel

_PLAYED = 2.0  # seconds that the page plays of a sound; at 8,000 samples per second of 16 bits these are 43 kB of text
_SLOWEST = 8000  # samples per second from which every second one may be left out
_SIZE = (160, 48)  # pixels of a spectrogram
_BLACK, _WHITE = -18.0, 0.0  # natural logarithms of power drawn as black and white
# Points of a colour scale from silence to loud, evenly spaced.
_COLOURS = np.array([(14, 10, 40), (78, 22, 110), (170, 46, 106), (238, 110, 62), (252, 230, 160)], float)


def player(samples: np.ndarray, rate: int) -> str:
    """An <audio> element with the first seconds of a sound as wav, and its spectrogram.

    Args:
        samples: (T, C) int16.
        rate: Samples per second.
    """
    seconds = len(samples) / rate
    mono = samples[: int(_PLAYED * rate)].astype(np.float32).mean(1)
    logs = log_mel(
        torch.from_numpy(mono / 32767), rate=rate, window=max(8, rate // 40), hop=max(4, rate // 100), mels=48
    )
    kept, speed = (
        (mono[: len(mono) // 2 * 2].reshape(-1, 2).mean(1), rate // 2) if rate >= 2 * _SLOWEST else (mono, rate)
    )
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(speed)
        out.writeframes(kept.astype("<i2").tobytes())
    data = base64.b64encode(file.getvalue()).decode()
    picture = drawing((logs.numpy() - _BLACK) / (_WHITE - _BLACK), f"sound of {seconds:.2f} s")
    return (
        f'<span class="sound">{picture}<audio controls preload="none" '
        f'src="data:audio/wav;base64,{data}"></audio></span>'
    )


def drawing(levels: np.ndarray, words: str) -> str:
    """An <img> of a spectrogram, low frequencies below.

    Args:
        levels: (M, F), 0 drawn dark and 1 bright; NaN stays white.
        words: What it shows, for those who cannot see it.
    """
    at = np.clip(np.nan_to_num(levels[::-1]), 0, 1) * (len(_COLOURS) - 1)
    low = np.minimum(at.astype(int), len(_COLOURS) - 2)
    colours = _COLOURS[low] + (at - low)[..., None] * (_COLOURS[low + 1] - _COLOURS[low])
    colours[np.isnan(levels[::-1])] = 255
    png = io.BytesIO()
    Pil.fromarray(colours.astype(np.uint8)).resize(_SIZE, Pil.Resampling.BILINEAR).save(png, "PNG")
    return f'<img alt="{words}" src="data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}">'

"""How encoders compute: number format, memory format, compiled or not."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PrecisionMode:
    """How the encoders compute.

    Attributes:
        bf16: Whether in bfloat16 autocast. Default False.
        channels_last: Whether in channels-last memory format. Default False.
        compiled: Whether with `torch.compile`. Default False.
        gain: Speed-up of a step over plain float32; None if not timed.
    """

    bf16: bool = False
    channels_last: bool = False
    compiled: bool = False
    gain: float | None = None

    @property
    def words(self) -> str:
        """Mode for the first screen: `bf16, channels-last: 1.8x plain`."""
        names = [
            n
            for n, on in (("bf16", self.bf16), ("channels-last", self.channels_last), ("compiled", self.compiled))
            if on
        ]
        return ", ".join(names or ["float32"]) + (f": {self.gain:.1f}x plain" if names and self.gain else "")

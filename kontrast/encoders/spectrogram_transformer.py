"""A transformer over patches of log-mel spectrograms.

Axis letters: B rows, C channels, M mel bands, F frames, P patches in time, D width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kontrast.core.errors import UserError
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features


class SpectrogramTransformer(Encoder):
    """Transformer whose tokens are a few frames each, with all their bands; pooled by their mean.

    Take it for much data and a GPU; `audio_cnn` learns more from little. Places in time are sines, so that clips of any
    length pass; frames after the end of a clip are no tokens.

    Args:
        channels: Channels of the sound; from the data.
        mels: Mel bands; from the data.
        patch: Frames per token. 4, so that a token stands for 40 ms.
        out: Width of the tokens.
        depth: Layers.
        heads: Attention heads; must divide `out`.
        dropout: In training.

    Raises:
        UserError: a setting out of its range.

    Reference:
        AST, Gong et al. 2021, arXiv:2104.01778; whole frames as tokens: SSAST, Gong et al. 2022, arXiv:2110.09784.

    Example:
        >>> SpectrogramTransformer(mels=64, out=48, depth=1)(torch.zeros(2, 1, 64, 100)).dense.shape
        torch.Size([2, 25, 48])
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        mels: int = 64,
        patch: int = 4,
        out: int = 192,
        depth: int = 4,
        heads: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if min(patch, out, depth, heads) < 1 or out % heads or out % 2 or not 0 <= dropout < 1:
            raise UserError(
                f"spectrogram_transformer: patch={patch}, out={out}, depth={depth}, heads={heads}, dropout={dropout}; "
                "expected 1 or more, an even width that the heads divide, and a dropout below 1."
            )
        self.patch = patch
        self.enter = nn.Linear(channels * mels * patch, out)
        layers = (
            nn.TransformerEncoderLayer(out, heads, 4 * out, dropout, F.gelu, batch_first=True, norm_first=True)
            for _ in range(depth)
        )
        self.layers, self.norm = nn.ModuleList(layers), nn.LayerNorm(out)
        self.width = self.dense_width = out

    def forward(self, x: Tensor) -> Features:
        """Features of spectrograms, dense ones per token.

        Args:
            x: (B, C, M, F), NaN in frames after the end.

        Returns:
            Pooled (B, width), zeros for a row that holds only NaN; dense (B, P, width) in the order of time, of which
            those before the end exist.
        """
        x = F.pad(x, (0, -x.shape[-1] % self.patch), value=torch.nan)
        there_BP = ~x[:, 0, 0, :: self.patch].isnan()
        patches = x.nan_to_num(0.0).unflatten(3, (-1, self.patch)).permute(0, 3, 1, 2, 4).flatten(2)
        h_BPD = self.enter(patches) + _places(patches.shape[1], self.width, x.device).to(patches.dtype)
        absent_BP = ~there_BP & there_BP.any(1, keepdim=True)  # a row without tokens attends to all: no NaN
        for layer in self.layers:
            again = self.recomputes and torch.is_grad_enabled()
            h_BPD = (
                checkpoint(layer, h_BPD, None, absent_BP, use_reentrant=False)
                if again
                else layer(h_BPD, src_key_padding_mask=absent_BP)
            )
        h_BPD = self.norm(h_BPD) * there_BP[:, :, None]
        return Features(h_BPD.sum(1) / there_BP.sum(1, keepdim=True).clamp_min(1), h_BPD, there_BP)

    def recompute(self) -> bool:
        """Keeps only what lies between layers; always possible."""
        self.recomputes = True
        return True


def _places(tokens: int, width: int, device: torch.device) -> Tensor:
    """(P, D) sines and cosines of the places in time (Vaswani et al. 2017)."""
    pace = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10_000.0) / width))
    angle = torch.arange(tokens, device=device)[:, None] * pace
    return torch.cat([angle.sin(), angle.cos()], 1)

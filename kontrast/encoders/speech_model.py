"""Pretrained models of waveforms of the transformers library: wav2vec 2.0, HuBERT, WavLM, data2vec."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core.errors import UserError
from kontrast.encoders import hub_model
from kontrast.encoders.adapters.lora import Adapted
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features
from kontrast.modalities.pretrained import folder_of

MODEL = "facebook/wav2vec2-base"


class SpeechModel(Encoder):
    """Pretrained model of waveforms, whose last hidden layer is averaged over time.

    It knows speech and costs time; for a run on few cores take `audio_cnn`. Only safetensors weights are read, and no
    code that comes with a model is run. Asks the modality for `input=wave`, and for the rate of the model.

    Args:
        model: Folder or hub name.
        train: "lora" learns a low-rank addition to every linear layer, "full" all weights, "frozen" none.
        rank: Of the additions of "lora".
        weights: False builds only the shape of the model, for weights from elsewhere (those of a run).

    Raises:
        UserError: no such model, or none of waveforms.

    Reference:
        wav2vec 2.0, Baevski et al. 2020, arXiv:2006.11477.
    """

    pace = 0.1  # what it knows is easily washed out

    def __init__(
        self,
        *,
        model: str = MODEL,
        train: Literal["frozen", "lora", "full"] = "lora",
        rank: int = 8,
        weights: bool = True,
    ) -> None:
        super().__init__()
        self.frozen = train == "frozen"
        loaded = hub_model.load(folder_of(model, weights=weights), weights=weights)
        if loaded.main_input_name != "input_values" or "conv_kernel" not in loaded.config.to_dict():
            raise UserError(
                f"speech_model: {model} is a {loaded.config.model_type}, which does not read waveforms; expected a "
                "model such as wav2vec2, hubert, wavlm or data2vec-audio."
            )
        # Models of this norm average over the padding too: rows of one length are then computed together.
        self.alone = loaded.config.to_dict().get("feat_extract_norm") == "group"
        self.shape = loaded.config.to_json_string()
        self.width = self.dense_width = int(loaded.config.hidden_size)
        self.kernels, self.strides = list(loaded.config.conv_kernel), list(loaded.config.conv_stride)
        self.model: nn.Module = Adapted(loaded, rank, without="feature") if train == "lora" else loaded
        for parameter in self.model.parameters() if self.frozen else ():
            parameter.requires_grad_(False)
        self.train()

    def forward(self, x: Tensor) -> Features:
        """Last hidden layer, as it is and averaged over the frames that exist.

        Args:
            x: (B, C, N) waveforms with mean 0 and deviation 1, NaN after the end; channels are averaged.

        Returns:
            Pooled (B, width); dense (B, P, width), of which those before the end exist.
        """
        sound_BN, count_B = x.nan_to_num(0.0).mean(1), (~x[:, 0].isnan()).sum(1)
        sound_BN = F.pad(sound_BN, (0, max(0, self._shortest - x.shape[-1])))
        if not self.alone:
            return self._encoded(sound_BN, count_B)
        parts: dict[int, tuple[Tensor, Features]] = {}
        for count in count_B.unique().tolist():
            rows = (count_B == count).nonzero()[:, 0]
            parts[count] = rows, self._encoded(sound_BN[rows, : max(count, self._shortest)], count_B[rows])
        order = torch.cat([rows for rows, _ in parts.values()]).argsort()
        longest = max(found.dense.shape[1] for _, found in parts.values() if found.dense is not None)
        fills = [(found, longest - found.dense.shape[1]) for _, found in parts.values() if found.dense is not None]
        dense = torch.cat([F.pad(found.dense, (0, 0, 0, more)) for found, more in fills if found.dense is not None])
        mask = torch.cat([F.pad(found.mask, (0, more)) for found, more in fills if found.mask is not None])
        return Features(torch.cat([found.pooled for found, _ in fills])[order], dense[order], mask[order])

    def _encoded(self, sound_BN: Tensor, count_B: Tensor) -> Features:
        """Features of zero-padded waveforms of the given lengths."""
        heard_B = count_B.clamp_min(self._shortest)
        mask_BN = torch.arange(sound_BN.shape[1], device=sound_BN.device) < heard_B[:, None]
        asked = {} if self.alone else {"attention_mask": mask_BN.long()}
        h_BPD = self.model(input_values=sound_BN, **asked).last_hidden_state
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            heard_B = (heard_B - kernel) // stride + 1
        inside_BP = torch.arange(h_BPD.shape[1], device=sound_BN.device) < heard_B[:, None]
        h_BPD = h_BPD * inside_BP[:, :, None]
        pooled_BD = h_BPD.sum(1) / inside_BP.sum(1, keepdim=True).clamp_min(1)
        return Features(pooled_BD * (count_B > 0)[:, None], h_BPD, inside_BP)

    @property
    def _shortest(self) -> int:
        """Samples of one position."""
        samples = 1
        for kernel, stride in zip(reversed(self.kernels), reversed(self.strides), strict=True):
            samples = (samples - 1) * stride + kernel
        return samples

    def train(self, mode: bool = True) -> "SpeechModel":
        """Sets training mode; a frozen model stays in eval mode."""
        return super().train(mode and not self.frozen)

    def keep(self, folder: Path) -> None:
        """Saves the shape; the weights are among those of the run."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(self.shape, encoding="utf8")

    @classmethod
    def kept(cls, folder: Path) -> dict[str, Any]:
        """This folder as the model, without weights."""
        return {"model": str(folder), "weights": False}

    @classmethod
    def wants(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The waveform at the model's rate: what its preprocessor_config.json says, else 16,000."""
        said = hub_model.read(folder_of(settings.get("model", MODEL), weights=False) / "preprocessor_config.json")
        return {"input": "wave", "rate": int(said.get("sampling_rate", 16_000))}

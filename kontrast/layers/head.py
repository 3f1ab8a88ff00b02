"""Projection head between an encoder's features and the embedding that is compared."""

from typing import Literal

from torch import Tensor, nn

from kontrast.core.errors import UserError


class Head(nn.Module):
    """Multilayer perceptron (B, in_width) -> (B, width): Linear, norm, ReLU, ..., Linear.

    The output is not normalised; the kernel does that. Features below the head usually transfer better than its output:
    Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, section 4.2.

    Args:
        in_width: Width of the features.
        width: Width of the output.
        hidden: Width of the hidden layers; None: in_width.
        layers: Number of linear layers, 1 or more.
        norm: Normalisation after each hidden linear layer.
        last_norm: Whether the output is normalised too, without scale and offset, as in SimSiam and MoCo v3.
    """

    def __init__(
        self,
        *,
        in_width: int,
        width: int = 128,
        hidden: int | None = None,
        layers: int = 2,
        norm: Literal["batch", "layer", "none"] = "batch",
        last_norm: bool = False,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise UserError(f"head: layers={layers}: expected 1 or more.")
        if width < 1 or (hidden is not None and hidden < 1):
            raise UserError(f"head: width={width}, hidden={hidden}: expected 1 or more.")
        made: list[nn.Module] = []
        for _ in range(layers - 1):
            out = hidden or in_width
            # A norm has its own offset, so the linear layer before it needs none.
            made += [nn.Linear(in_width, out, bias=norm == "none"), *_norm(norm, out), nn.ReLU(inplace=True)]
            in_width = out
        ends = _norm(norm, width, learned=False) if last_norm else []
        self.net = nn.Sequential(*made, nn.Linear(in_width, width, bias=not ends), *ends)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (B, width) of features (B, in_width)."""
        return self.net(x)


def _norm(norm: str, width: int, *, learned: bool = True) -> list[nn.Module]:
    if norm == "batch":
        return [nn.BatchNorm1d(width, affine=learned)]
    return [nn.LayerNorm(width, elementwise_affine=learned)] if norm == "layer" else []

"""A frozen linear layer with a trainable low-rank addition.

Axis letters: T rows, I features in, O features out, R the rank.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F

from kontrast.core.errors import UserError

SCALE = 2.0


class Lora(nn.Module):
    """Linear layer of which only a low-rank addition learns.

    Training multiplies by the sum, a single matrix: for T rows the sum costs R/T of the product, while a separate
    addition to every output would read and write all outputs several times. Parameters have the names of the peft
    library, as in the files of earlier runs.

    Args:
        base: The layer; frozen and kept.
        rank: R.

    Raises:
        UserError: a rank below 1.

    Equation:
        y = (W + 2 B A) x + b

    Reference:
        Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685.
    """

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        if rank < 1:
            raise UserError(f"lora: rank={rank}; expected 1 or more.")
        self.base_layer = base.requires_grad_(False)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(base.in_features, rank, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(rank, base.out_features, bias=False)})
        nn.init.zeros_(self.b_OR)

    @property
    def a_RI(self) -> Tensor:
        """The matrix A."""
        return cast(nn.Linear, self.lora_A["default"]).weight

    @property
    def b_OR(self) -> Tensor:
        """The matrix B; zero at the start, so that the layer begins unchanged."""
        return cast(nn.Linear, self.lora_B["default"]).weight

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer: (..., I) -> (..., O)."""
        if not torch.is_grad_enabled():
            return self.base_layer(x) + SCALE * F.linear(F.linear(x, self.a_RI), self.b_OR)
        device = x.device.type
        if torch.is_autocast_enabled(device):
            x = x.to(torch.get_autocast_dtype(device))
        with torch.autocast(device, enabled=False):
            return _Product.apply(x, self.base_layer.weight, self.base_layer.bias, self.a_RI, self.b_OR)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Plain layer that computes the same; uses this one up."""
        self.base_layer.weight.add_(self.b_OR @ self.a_RI, alpha=SCALE)
        return self.base_layer


class _Product(Function):
    """Product with the sum; keeps only x for backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w_OI: Tensor, bias: Tensor | None, a_RI: Tensor, b_OR: Tensor) -> Tensor:
        ctx.save_for_backward(x, w_OI, a_RI, b_OR)
        return F.linear(x, _sum(w_OI, a_RI, b_OR).to(x.dtype), None if bias is None else bias.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        x, w_OI, a_RI, b_OR = ctx.saved_tensors
        slope_TO, x_TI = slopes[0].flatten(0, -2), x.flatten(0, -2)
        back = None
        if ctx.needs_input_grad[0]:
            back = (slope_TO @ _sum(w_OI, a_RI, b_OR).to(x.dtype)).view(x.shape)
        to_a = (slope_TO @ b_OR.to(x.dtype)).T @ x_TI
        to_b = slope_TO.T @ (x_TI @ a_RI.T.to(x.dtype))
        return back, None, None, (SCALE * to_a).to(a_RI.dtype), (SCALE * to_b).to(b_OR.dtype)


def _sum(w_OI: Tensor, a_RI: Tensor, b_OR: Tensor) -> Tensor:
    return torch.addmm(w_OI, b_OR, a_RI, alpha=SCALE)


class Adapted(nn.Module):
    """Network whose linear layers are `Lora`, with the parameter names of peft.

    Args:
        net: Any network; changed in place.
        rank: Of all additions.
        without: Layers with this in their name stay as they are, frozen.
    """

    def __init__(self, net: nn.Module, rank: int, without: str) -> None:
        super().__init__()
        net.requires_grad_(False)
        linear = [name for name, part in net.named_modules() if isinstance(part, nn.Linear) and without not in name]
        for name in linear:
            net.set_submodule(name, Lora(cast(nn.Linear, net.get_submodule(name)), rank))
        self.base_model = nn.Module()
        self.base_model.model = net

    @property
    def net(self) -> nn.Module:
        """The adapted network itself."""
        return cast(nn.Module, self.base_model.model)

    def forward(self, **given: Any) -> Any:
        """Calls the network with the same arguments."""
        return self.net(**given)

    def merged(self) -> nn.Module:
        """Network with plain layers that compute the same; uses this one up."""
        for name, part in list(self.net.named_modules()):
            if isinstance(part, Lora):
                self.net.set_submodule(name, part.merged())
        return self.net

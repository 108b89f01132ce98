"""Split fused attention projections, for separate adaptation of q, k and v, and fuse them again."""

import torch
from torch import Tensor, nn

from elite.shapes import Float


class SplitQKV(nn.Module):
    """Three Linears with the same output as a fused one."""

    def __init__(self, fused: nn.Linear) -> None:
        super().__init__()
        biases = (None,) * 3 if fused.bias is None else fused.bias.chunk(3)
        self.q, self.k, self.v = (_linear(w, b) for w, b in zip(fused.weight.chunk(3), biases, strict=True))

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch e"]:
        return torch.cat([self.q(x), self.k(x), self.v(x)], dim=-1)

    def fused(self) -> nn.Linear:
        """Return one Linear with the weights of the three."""
        parts = (self.q, self.k, self.v)
        assert all(type(part) is nn.Linear for part in parts), "merge the adapter before fusing q, k and v"
        bias = None if self.q.bias is None else torch.cat([part.bias for part in parts])
        return _linear(torch.cat([part.weight for part in parts]), bias)


def _linear(weight: Float[Tensor, "e d"], bias: Float[Tensor, "e"] | None) -> nn.Linear:
    """Linear with copies of these values, created on the meta device to draw no random numbers."""
    out_features, in_features = weight.shape
    layer = nn.Linear(in_features, out_features, bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer


def split_qkv(model: nn.Module) -> None:
    """Replace each Linear(d, 3 e) named ``qkv`` in ``model`` by three Linears of e rows.

    e equals d, except where the width of SAM 2 increases.
    """
    for module in list(model.modules()):
        fused = getattr(module, "qkv", None)
        if isinstance(fused, nn.Linear) and fused.out_features % 3 == 0:
            module.qkv = SplitQKV(fused)


def fuse_qkv(model: nn.Module) -> None:
    """Undo ``split_qkv``: restore the original modules and key names, with the present weights."""
    for module in list(model.modules()):
        split = getattr(module, "qkv", None)
        if isinstance(split, SplitQKV):
            module.qkv = split.fused()

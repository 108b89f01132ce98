"""From maps to logits at pixels: taps that refine the maps, and heads."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from elite.teacher.backbone import Backbone
from elite.types import TeacherOutput

TARGET_STRIDE = 4


class Tap(nn.Sequential):
    """A map of the foundation model -> (w, channels, height / 4, width / 4).

    Transposed convolutions double the resolution until the stride is at most 4: twice for patches of 16 (stride 4) and
    of 14 (3.5), channels -> 192 -> 96 at the defaults, LayerNorm over channels and GELU between, GELU after. A map
    that is fine enough already gets a 1 x 1 convolution.
    """

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        doublings = max(0, math.ceil(math.log2(stride / TARGET_STRIDE)))
        widths = [inputs, *[2 * channels] * (doublings - 1), channels]
        layers: list[nn.Module] = []
        for i in range(doublings):
            layers += [nn.ConvTranspose2d(widths[i], widths[i + 1], kernel_size=2, stride=2)]
            layers += [ChannelNorm(widths[i + 1])] if i < doublings - 1 else []
            layers += [nn.GELU()]
        super().__init__(*layers or [nn.Conv2d(inputs, channels, kernel_size=1), nn.GELU()])


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (w, channels, rows, columns), as SAM's LayerNorm2d."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, input: Float[Tensor, "w c h x"]) -> Float[Tensor, "w c h x"]:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def mlp_head(inputs: int, hidden: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes))


class TeacherHeads(nn.Module):
    """A tap and a head per stage, and a head on all of them.

    Linear(96, 192) ReLU Linear(192, classes) per stage, Linear(384, 192) ReLU Linear(192, classes) on all of them, at
    the default width and four stages.
    """

    def __init__(self, backbone: Backbone, *, channels: int = 96, classes: int = 20) -> None:
        super().__init__()
        # What the weights below are good for, by the names of the settings.
        self.made_for = {"depths": list(backbone.depths), "rel_pos": backbone.rel_pos, "channels": channels}
        self.taps = nn.ModuleList(Tap(c, channels, s) for c, s in zip(backbone.channels, backbone.strides, strict=True))
        self.heads = nn.ModuleList(mlp_head(channels, 2 * channels, classes) for _ in self.taps)
        self.multi_stage = mlp_head(channels * len(self.taps), 2 * channels, classes)

    def answer(self, feats: Sequence[Float[Tensor, "p channels"]]) -> TeacherOutput:
        """Logits of places whose features in every tap's map are given."""
        stages = tuple(head(f) for head, f in zip(self.heads, feats, strict=True))
        return TeacherOutput(stages, self.multi_stage(torch.cat(list(feats), dim=1)))

"""Taps that refine the maps of a foundation model, and heads that compute logits from their features."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from elite.batches import TeacherOutput
from elite.shapes import Float
from elite.teacher.backbone import Backbone

TARGET_STRIDE = 4


class Tap(nn.Sequential):
    """Refine a map of the foundation model to (w, channels, height / 4, width / 4).

    Transposed convolutions double the resolution until the stride is at most 4: twice for patches of 16 (stride 4) and
    of 14 (stride 3.5). By default, the channels become 192, then 96, with LayerNorm and GELU after the first and GELU
    after the last one. A map with a stride of at most 4 is refined by a 1 x 1 convolution.
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
    """LayerNorm over the channels of (w, channels, rows, columns), as LayerNorm2d of SAM."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, input: Float[Tensor, "w c h x"]) -> Float[Tensor, "w c h x"]:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def mlp_head(inputs: int, hidden: int, classes: int) -> nn.Sequential:
    """Two-layer perceptron of a head."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes))


class TeacherHeads(nn.Module):
    """A tap and a head per stage, and a multi-stage head on the concatenated features.

    With four stages of the default width, the head of a stage is Linear(96, 192), ReLU, Linear(192, classes), and the
    multi-stage head is Linear(384, 192), ReLU, Linear(192, classes).
    """

    def __init__(self, backbone: Backbone, *, channels: int = 96, classes: int = 20) -> None:
        super().__init__()
        # Settings that the weights of taps and heads depend on.
        self.tap_settings = {"depths": list(backbone.depths), "rel_pos": backbone.rel_pos, "channels": channels}
        self.taps = nn.ModuleList(Tap(c, channels, s) for c, s in zip(backbone.channels, backbone.strides, strict=True))
        self.heads = nn.ModuleList(mlp_head(channels, 2 * channels, classes) for _ in self.taps)
        self.multi_stage = mlp_head(channels * len(self.taps), 2 * channels, classes)

    def classify(self, feats: Sequence[Float[Tensor, "p channels"]]) -> TeacherOutput:
        """Compute logits from the features of the same pixels in the map of each tap."""
        stages = tuple(head(f) for head, f in zip(self.heads, feats, strict=True))
        return TeacherOutput(stages, self.multi_stage(torch.cat(list(feats), dim=1)))

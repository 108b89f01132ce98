"""Objectives of a teacher training: class-agnostic masks, classes, or colours of hidden patches.

The objective ``segments`` resembles the training of SAM on class-agnostic masks: dense labels define a partition of the
pixels, and class names are ignored.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elite.config import TeacherTrainingConfig
from elite.losses import segmentation_loss
from elite.shapes import Bool, Float, Int64, UInt8
from elite.teacher.backbone import MEAN, Backbone
from elite.teacher.heads import Tap, TeacherHeads

_PATCH = 16  # side (pixels) of the squares that are hidden
_COLOUR_SCALE = 58.0  # approximate standard deviation of natural images on 0..255


class Objective(nn.Module):
    """Prediction layers and losses on the backbone's feature maps.

    Taps resize every map to a quarter of the image's size, and 1 x 1 convolutions read their sum. Masks need a query
    and a key per cell, whose product predicts whether two cells belong to one segment. Boundaries need one channel,
    hidden patches their colours. These layers are discarded after the training. The objective ``classes`` trains the
    taps and heads of a teacher instead, and keeps them.
    """

    def __init__(self, config: TeacherTrainingConfig, backbone: Backbone, classes: int) -> None:
        super().__init__()
        width, self.kind, self.queries = config.width, config.objective, config.queries
        if self.kind == "classes":
            self.teacher = TeacherHeads(backbone, channels=width, classes=classes)
            return
        self.taps = nn.ModuleList(Tap(c, width, s) for c, s in zip(backbone.channels, backbone.strides, strict=True))
        if self.kind == "segments":
            self.query, self.key = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
            self.mask_bias = nn.Parameter(torch.zeros(()))
            self.boundary = nn.Conv2d(width, 1, 1)
        if self.predicts_colours:
            self.colour = nn.Conv2d(width, 3, 1)

    @property
    def predicts_colours(self) -> bool:
        """Whether patches are hidden and their colours predicted."""
        return self.kind != "classes"

    def forward(
        self,
        maps: list[Tensor],
        images: UInt8[Tensor, "b 3 h w"],
        hidden: Bool[Tensor, "b h w"],
        target: Int64[Tensor, "b h w"],
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the terms of the loss, and scores that are not minimised."""
        if self.kind == "classes":
            return self.class_terms(maps, target), {}
        fused = torch.stack([tap(m) for tap, m in zip(self.taps, maps, strict=True)]).sum(0)
        rows, columns = fused.shape[2:]
        target = at_cells(target, rows, columns)
        terms = {"colours": colour_loss(self.colour(fused), images, at_cells(hidden, rows, columns))}
        if self.kind == "reconstruction":
            return terms, {}
        masks, target_masks = self.masks(fused, target)
        edges = F.binary_cross_entropy_with_logits(self.boundary(fused)[:, 0], boundaries(target).float())
        iou = mask_iou(masks.detach() > 0, target_masks)
        return {"masks": mask_loss(masks, target_masks), "boundaries": edges, **terms}, {"mask_iou": iou}

    def class_terms(self, maps: list[Tensor], target: Int64[Tensor, "b h w"]) -> dict[str, Tensor]:
        """Losses of the teacher heads, as in distillation, on each cell with a dense label."""
        refined = [tap(m) for tap, m in zip(self.teacher.taps, maps, strict=True)]
        rows, columns = refined[0].shape[2:]
        labels = at_cells(target, rows, columns).flatten()
        teacher_logits = self.teacher.classify([m.permute(0, 2, 3, 1).flatten(0, 2) for m in refined])
        terms = {}
        for i, logits in enumerate(teacher_logits.stages):
            terms[f"stage{i}"] = sum(segmentation_loss(logits, labels, None)) / len(teacher_logits.stages)
        return terms | {"classes": sum(segmentation_loss(teacher_logits.multi_stage, labels, None))}  # type: ignore[dict-item]

    def masks(
        self, fused: Float[Tensor, "b c h w"], target: Int64[Tensor, "b h w"]
    ) -> tuple[Float[Tensor, "b q cells"], Bool[Tensor, "b q cells"]]:
        """Logits that each cell belongs to the segment of the query, and the ground truth."""
        segment = target.flatten(1)
        cells = draw_queries(segment, self.queries)
        keys = self.key(fused).flatten(2)
        queries = self.query(fused).flatten(2).gather(2, cells[:, None].expand(-1, keys.shape[1], -1))
        logits = queries.transpose(1, 2) @ keys * keys.shape[1] ** -0.5 + self.mask_bias
        return logits, segment.gather(1, cells)[:, :, None] == segment[:, None]


def draw_hidden(images: UInt8[Tensor, "b 3 h w"], share: float) -> Bool[Tensor, "b h w"]:
    """Hide each square of 16 x 16 pixels with probability ``share``."""
    b, _, h, w = images.shape
    squares = torch.rand(b, -(-h // _PATCH), -(-w // _PATCH), device=images.device) < share
    return squares.repeat_interleave(_PATCH, 1).repeat_interleave(_PATCH, 2)[:, :h, :w]


def hide(images: UInt8[Tensor, "b 3 h w"], hidden: Bool[Tensor, "b h w"]) -> UInt8[Tensor, "b 3 h w"]:
    """Replace hidden pixels by a grey that becomes zero in the normalisation of the backbone."""
    grey = torch.tensor(MEAN, device=images.device).round().to(torch.uint8).view(3, 1, 1)
    return torch.where(hidden[:, None], grey, images)


def at_cells(values: Tensor, rows: int, columns: int) -> Tensor:
    """(b, h, w) -> (b, rows, columns): value of the pixel in the centre of each cell."""
    r = ((torch.arange(rows, device=values.device) + 0.5) * values.shape[1] / rows).long()
    c = ((torch.arange(columns, device=values.device) + 0.5) * values.shape[2] / columns).long()
    return values[:, r[:, None], c]


def boundaries(segment: Int64[Tensor, "b h w"]) -> Bool[Tensor, "b h w"]:
    """Cells with a neighbour (left, right, above, below) in another segment."""
    down, right = segment.diff(dim=1) != 0, segment.diff(dim=2) != 0
    return F.pad(down, (0, 0, 0, 1)) | F.pad(down, (0, 0, 1, 0)) | F.pad(right, (0, 1)) | F.pad(right, (1, 0))


def draw_queries(segment: Int64[Tensor, "b cells"], count: int) -> Int64[Tensor, "b count"]:
    """Draw cells: half of them uniformly over segments and then within a segment, the others over all cells."""
    size = torch.stack([s.bincount(minlength=int(segment.max()) + 1) for s in segment])
    rare = torch.multinomial(1 / size.gather(1, segment).float(), count - count // 2, replacement=True)
    uniform = torch.randint(segment.shape[1], (len(segment), count // 2), device=segment.device)
    return torch.cat([rare, uniform], dim=1)


def mask_loss(logits: Float[Tensor, "b q cells"], target: Bool[Tensor, "b q cells"]) -> Float[Tensor, ""]:
    """Mean binary cross entropy + dice over masks. Inside and outside of a mask have equal weight, for any size."""
    inside, outside = target.float(), (~target).float()
    inside_loss = (F.softplus(-logits) * inside).sum(2) / inside.sum(2)
    outside_loss = (F.softplus(logits) * outside).sum(2) / outside.sum(2).clamp(min=1)
    share = logits.sigmoid()
    dice = 1 - (2 * (share * inside).sum(2) + 1) / (share.sum(2) + inside.sum(2) + 1)
    return ((inside_loss + outside_loss) / 2 + dice).mean()


def mask_iou(masks: Bool[Tensor, "b q cells"], target: Bool[Tensor, "b q cells"]) -> Float[Tensor, ""]:
    """Mean IoU over masks."""
    return ((masks & target).sum(2) / (masks | target).sum(2)).mean()  # targets contain their query, so none is empty


def colour_loss(
    predicted: Float[Tensor, "b 3 rows columns"],
    images: UInt8[Tensor, "b 3 h w"],
    hidden: Bool[Tensor, "b rows columns"],
) -> Float[Tensor, ""]:
    """Mean L1 distance between predicted and true colours of hidden cells; 0 without hidden cells."""
    mean = torch.tensor(MEAN, device=images.device).view(3, 1, 1)
    rows, columns = predicted.shape[2:]
    target = F.adaptive_avg_pool2d((images - mean) / _COLOUR_SCALE, (rows, columns))
    error = (predicted - target).abs().mean(dim=1)
    return (error * hidden).sum() / hidden.sum().clamp(min=1)

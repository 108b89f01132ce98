"""Predict the classes of a camera image with a teacher: every pixel, and the pixels of the LiDAR points in view."""

from dataclasses import dataclass

import numpy as np
import torch

from elite.batches import Pixels
from elite.shapes import Int64, UInt8
from elite.taxonomy import IGNORE
from elite.teacher.teacher import Teacher
from elite.types import View

_PIXELS_PER_PASS = 16384  # bounds the memory of the heads


@dataclass(frozen=True)
class ViewPrediction:
    """Teacher prediction for one view, as train ids 1..19.

    Attributes:
        image: class of every pixel.
        points: class of the pixel of each point-pixel pair of the view.
    """

    image: UInt8[np.ndarray, "h w"]
    points: UInt8[np.ndarray, "m"]


def predict_view(teacher: Teacher, view: View, *, stride: int = 2) -> ViewPrediction:
    """Predict the classes of a view with the teacher's multi-stage head.

    Args:
        teacher: in eval mode; runs on the device of its parameters.
        view: image crop and its point-pixel pairs.
        stride: pixels between two predictions in ``ViewPrediction.image``, in both directions. Each prediction fills
            its ``stride`` x ``stride`` cell. The predictions at the points are exact for every stride.
    """
    height, width = view.image.shape[:2]
    rows, columns = np.arange(0, height, stride), np.arange(0, width, stride)
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    labels = _predict_pixels(teacher, view.image, np.concatenate([grid, view.pairs.pixel]))
    cells = labels[: len(grid)].reshape(len(rows), len(columns))
    image = cells.repeat(stride, axis=0).repeat(stride, axis=1)[:height, :width]
    return ViewPrediction(image, labels[len(grid) :])


@torch.inference_mode()
def _predict_pixels(
    teacher: Teacher, image: UInt8[np.ndarray, "h w 3"], pixel: Int64[np.ndarray, "p 2"]
) -> UInt8[np.ndarray, "p"]:
    device = next(teacher.parameters()).device
    maps = teacher(torch.from_numpy(image.copy()).permute(2, 0, 1)[None].to(device))
    size = (image.shape[0], image.shape[1])
    labels = []
    for position in torch.from_numpy(pixel).to(device).split(_PIXELS_PER_PASS):
        logits = teacher.logits_at(maps, Pixels(torch.zeros_like(position[:, 0]), position), size).multi_stage
        labels.append(logits[:, IGNORE + 1 :].argmax(dim=1) + IGNORE + 1)
    return torch.cat(labels).cpu().numpy().astype(np.uint8)

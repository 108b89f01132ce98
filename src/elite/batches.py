"""Records of tensors, for the networks: batches, and outputs of student and teacher.

Shapes: N points, V voxels of one stage, W images, C classes (20 with the ignored class 0).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

from elite.shapes import Bool, Float, Float32, Int64, Shaped, UInt8


class _Tensors:
    """Base of records that contain tensors and other such records, and move to a device as one."""

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Copy to ``device``, without waiting if the source is in pinned memory."""
        return self._replaced(lambda v: v.to(device, non_blocking=non_blocking or _is_pinned(v)))

    def pin_memory(self) -> Self:
        """Copy to page-locked memory, as DataLoader requests, for copies to a GPU in parallel with its work."""
        return self._replaced(lambda v: v.pin_memory())

    def _replaced(self, change: Callable[[Any], Any]) -> Self:
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        changed = {name: change(v) for name, v in values.items() if isinstance(v, Tensor | _Tensors)}
        return replace(self, **changed)  # type: ignore[type-var]


def _is_pinned(value: Tensor | _Tensors) -> bool:
    return isinstance(value, Tensor) and value.device.type == "cpu" and value.is_pinned()


@dataclass(frozen=True)
class Pixels(_Tensors):
    """Pixels of a batch's images: pixel i is (row, column) ``position[i]`` of image ``view[i]``; ``view`` ascends."""

    view: Int64[Tensor, "p"]
    position: Int64[Tensor, "p 2"]

    def __len__(self) -> int:
        return len(self.view)


@dataclass(frozen=True)
class Views(_Tensors):
    """The W images of a batch, all of one size, with their pairs of pixels and points, and dense labels.

    Attributes:
        pair_pixel: the pixel of each pair.
        pair_point: the point of each pair, a row of ``Batch.points``. A point in view of two cameras has two pairs.
        labels: dense train ids, 0 = unknown, of the images with ``has_labels``; None if no image of the batch has any.
    """

    images: UInt8[Tensor, "w 3 height width"]
    pair_pixel: Pixels
    pair_point: Int64[Tensor, "p"]
    labels: UInt8[Tensor, "w height width"] | None
    has_labels: Bool[Tensor, "w"]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of every image."""
        return self.images.shape[2], self.images.shape[3]


@dataclass(frozen=True)
class Batch(_Tensors):
    """Concatenated samples; ``batch_index`` is the sample of each point (0, 1, ..., in order).

    ``views`` is None if no sample of the batch has an image. Other fields are as in ``elite.types.Sample``.
    """

    ids: tuple[str, ...]
    points: Float32[Tensor, "n 3"]
    remission: Float32[Tensor, "n"]
    batch_index: Int64[Tensor, "n"]
    labels: Int64[Tensor, "n"]
    views: Views | None = None
    point_to_row: Int64[Tensor, "all"] | None = None
    ground_truth: Int64[Tensor, "all"] | None = None
    faults: tuple[tuple[str, str], ...] = ()
    age: Float32[Tensor, "n"] | None = None

    @property
    def size(self) -> int:
        return len(self.ids)

    def present(self, values: Shaped[Tensor, "n *c"]) -> Shaped[Tensor, "m *c"]:
        """Values of the scans' own points among those of all points: without those of past scans."""
        return values if self.age is None else values[self.age == 0]


@dataclass(frozen=True)
class StageOutput:
    """Output of one student stage for distillation: features of each voxel of its input grid."""

    feats: Float[Tensor, "v channels"]
    point_to_voxel: Int64[Tensor, "n"]


@dataclass(frozen=True)
class StudentOutput:
    """Logits of each point over all classes (column 0, the ignored class, is never trained), and all stages."""

    logits: Float[Tensor, "n classes"]
    stages: tuple[StageOutput, ...]


@dataclass(frozen=True)
class TeacherOutput:
    """Teacher logits at some pixels: of the head of each stage, and of the head over all stages."""

    stages: tuple[Float[Tensor, "p classes"], ...]
    multi_stage: Float[Tensor, "p classes"]

    def select(self, index: Int64[Tensor, "some"]) -> "TeacherOutput":
        """Logits at the pixels of ``index``."""
        return TeacherOutput(tuple(stage[index] for stage in self.stages), self.multi_stage[index])

    def concat(self, other: "TeacherOutput") -> "TeacherOutput":
        """Logits at these pixels, then at those of ``other``."""
        stages = tuple(torch.cat(pair) for pair in zip(self.stages, other.stages, strict=True))
        return TeacherOutput(stages, torch.cat([self.multi_stage, other.multi_stage]))

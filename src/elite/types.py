"""What flows through the library: frozen records, arrays inside.

Scans and frames are numpy (what files hold); batches and outputs are torch (what networks see).
Shapes: N points, V voxels of one stage, W images, C classes (20 with the ignored class 0).
Frames: points are in the sensor frame, x forward, y left, z up, metres.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int32, Int64, UInt8, UInt32
from torch import Tensor


@dataclass(frozen=True)
class Scan:
    """One turn of the LiDAR: points in the sensor frame (m) and their remission, 0..1."""

    points: Float32[np.ndarray, "n 3"]
    remission: Float32[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera. ``projection`` = P_k @ T_cam_velo: homogeneous point -> (u d, v d, d), u right, v down."""

    name: str
    projection: Float[np.ndarray, "3 4"]


@dataclass(frozen=True)
class PointPixelPairs:
    """Points and the pixels that see them; ``pixel`` is (row, column)."""

    point: Int64[np.ndarray, "m"]
    pixel: Int64[np.ndarray, "m 2"]

    def __len__(self) -> int:
        return len(self.point)


@dataclass(frozen=True)
class Frame:
    """A scan with everything recorded beside it. What a frame lacks is None, or missing from ``images``.

    ``labels`` are train ids 0..19. ``objects`` are (class << 16 | instance), 0 where there is no object.
    """

    sequence: str
    name: str
    scan: Scan
    labels: UInt8[np.ndarray, "n"] | None = None
    objects: UInt32[np.ndarray, "n"] | None = None
    cameras: tuple[Camera, ...] = ()
    images: dict[str, UInt8[np.ndarray, "h w 3"]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.sequence}/{self.name}"


@dataclass(frozen=True)
class View:
    """One image of a sample as the teacher sees it: cropped, perhaps mirrored.

    ``pairs.point`` are rows of the sample's points. ``labels`` are dense train ids, 0 = unknown (segment numbers in the
    training of a teacher); None if the frame has no dense label for this camera.
    """

    camera: str
    image: UInt8[np.ndarray, "h w 3"]
    pairs: PointPixelPairs
    labels: UInt8[np.ndarray, "h w"] | Int32[np.ndarray, "h w"] | None = None


@dataclass(frozen=True)
class Sample:
    """One scan made ready for the network: only points inside the volume, augmented if it is for training.

    ``views`` are its images, none of them if there is no teacher to look at them.
    ``faults`` are (frame, what is wrong with it) of frames that should have been here and could not be read.
    For scoring, ``cover[i]`` is the row of ``points`` that answers for point i of the whole scan (itself, or
    the nearest point inside the volume) and ``truth[i]`` is its label; both None in training.
    """

    id: str
    points: Float32[np.ndarray, "n 3"]
    remission: Float32[np.ndarray, "n"]
    labels: Int64[np.ndarray, "n"]
    views: tuple[View, ...] = ()
    cover: Int64[np.ndarray, "all"] | None = None
    truth: Int64[np.ndarray, "all"] | None = None
    faults: tuple[tuple[str, str], ...] = ()


class _Tensors:
    """A record of tensors, and of such records, that moves to a device as one."""

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Copy to ``device``; from pinned memory without waiting, which Lightning requests for bare tensors only."""
        return self._replaced(lambda v: v.to(device, non_blocking=non_blocking or _is_pinned(v)))

    def pin_memory(self) -> Self:
        """Copy to page-locked memory, as DataLoader requests, so that copies to a GPU run beside its work."""
        return self._replaced(lambda v: v.pin_memory())

    def _replaced(self, change: Callable[[Any], Any]) -> Self:
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        changed = {name: change(v) for name, v in values.items() if isinstance(v, Tensor | _Tensors)}
        return replace(self, **changed)  # type: ignore[type-var]


def _is_pinned(value: Tensor | _Tensors) -> bool:
    return isinstance(value, Tensor) and value.device.type == "cpu" and value.is_pinned()


@dataclass(frozen=True)
class Pixels(_Tensors):
    """Pixels of a batch's images: pixel i is (row, column) ``position[i]`` of image ``view[i]``, in ascending view."""

    view: Int64[Tensor, "p"]
    position: Int64[Tensor, "p 2"]

    def __len__(self) -> int:
        return len(self.view)


@dataclass(frozen=True)
class Views(_Tensors):
    """The W images of a batch, all of one size, and what ties their pixels to points and labels.

    Pair i is the point ``pair_point[i]`` (a row of ``Batch.points``) seen at pixel i of ``pairs``. A point that two
    cameras see has two pairs. ``labels`` are dense train ids, 0 = unknown, of the images for which ``has_labels``;
    None if no image of the batch has any.
    """

    images: UInt8[Tensor, "w 3 height width"]
    pairs: Pixels
    pair_point: Int64[Tensor, "p"]
    labels: UInt8[Tensor, "w height width"] | None
    has_labels: Bool[Tensor, "w"]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of every image."""
        return self.images.shape[2], self.images.shape[3]


@dataclass(frozen=True)
class Batch(_Tensors):
    """Samples laid end to end; ``batch_index`` tells which one a point belongs to (0, 1, ..., in order).

    ``views`` is None if no sample of the batch has an image.
    """

    ids: tuple[str, ...]
    points: Float32[Tensor, "n 3"]
    remission: Float32[Tensor, "n"]
    batch_index: Int64[Tensor, "n"]
    labels: Int64[Tensor, "n"]
    views: Views | None = None
    cover: Int64[Tensor, "all"] | None = None
    truth: Int64[Tensor, "all"] | None = None
    faults: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class StageOutput:
    """What one student stage offers to distillation: a feature row per voxel of its input grid."""

    feats: Float[Tensor, "v channels"]
    point_to_voxel: Int64[Tensor, "n"]


@dataclass(frozen=True)
class StudentOutput:
    """Logits per point over all classes (column 0, the ignored class, is never trained), and the stages."""

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


@dataclass(frozen=True)
class SegmentationResult:
    """Prediction of one scan.

    Attributes:
        labels: train ids 1..19.
        confidence: softmax share of the label.
        outside: number of points outside the student's volume, which have the label of their nearest neighbour inside.
    """

    labels: UInt8[np.ndarray, "n"]
    confidence: Float32[np.ndarray, "n"]
    outside: int = 0

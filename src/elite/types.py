"""What flows through the library: frozen records, arrays inside.

Scans and frames are numpy (what files hold); batches and outputs are torch (what networks see).
Shapes: N points, V voxels of one stage, C classes (20 with the ignored class 0).
Frames: points are in the sensor frame, x forward, y left, z up, metres.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8, UInt32
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
    ``pose`` is T_world_cam0 of the scan (KITTI's poses.txt).
    """

    sequence: str
    name: str
    scan: Scan
    labels: UInt8[np.ndarray, "n"] | None = None
    objects: UInt32[np.ndarray, "n"] | None = None
    pose: Float[np.ndarray, "4 4"] | None = None
    cameras: tuple[Camera, ...] = ()
    images: dict[str, UInt8[np.ndarray, "h w 3"]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.sequence}/{self.name}"


@dataclass(frozen=True)
class Sample:
    """One scan made ready for the network: only points inside the volume, augmented if it is for training.

    For scoring, ``cover[i]`` is the row of ``points`` that answers for point i of the whole scan (itself, or
    the nearest point inside the volume) and ``truth[i]`` is its label; both None in training.
    """

    id: str
    points: Float32[np.ndarray, "n 3"]
    remission: Float32[np.ndarray, "n"]
    labels: Int64[np.ndarray, "n"]
    cover: Int64[np.ndarray, "all"] | None = None
    truth: Int64[np.ndarray, "all"] | None = None


@dataclass(frozen=True)
class Batch:
    """Samples laid end to end; ``batch_index`` tells which one a point belongs to (0, 1, ..., in order)."""

    ids: tuple[str, ...]
    points: Float32[Tensor, "n 3"]
    remission: Float32[Tensor, "n"]
    batch_index: Int64[Tensor, "n"]
    labels: Int64[Tensor, "n"]
    cover: Int64[Tensor, "all"] | None = None
    truth: Int64[Tensor, "all"] | None = None

    @property
    def size(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        tensors = {f.name: v for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)}
        return replace(self, **{n: v.to(device, non_blocking=non_blocking) for n, v in tensors.items()})


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
class SegmentationResult:
    """One scan's answer. ``labels`` are train ids 1..19; ``confidence`` is the softmax share of the answer."""

    labels: UInt8[np.ndarray, "n"]
    confidence: Float32[np.ndarray, "n"]

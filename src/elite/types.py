"""Records that the library passes around: frozen, with numpy arrays. ``elite.batches`` contains those with tensors.

Shapes: N points, W images, C classes (20 with the ignored class 0).
Frames: points are in the sensor frame, x forward, y left, z up, metres.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from elite.beams import Beams
from elite.lenses import Lens
from elite.shapes import Bool, Float, Float32, Int32, Int64, Shaped, UInt8, UInt32


@dataclass(frozen=True)
class PastPoints:
    """Points of the scans before one, moved into its sensor frame by the poses.

    Attributes:
        points: metres.
        remission: 0 to 1.
        age: seconds before the scan, above 0.
        longest_step: largest motion of the sensor between successive scans, in metres.
        faults: (file, fault) of the past scans that could not be read, and are skipped.
    """

    points: Float32[np.ndarray, "n 3"]
    remission: Float32[np.ndarray, "n"]
    age: Float32[np.ndarray, "n"]
    longest_step: float = 0.0
    faults: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.points)

    def select(self, rows: Shaped[np.ndarray, "_"]) -> "PastPoints":
        """Some of the points, by a mask or by indices."""
        return replace(self, points=self.points[rows], remission=self.remission[rows], age=self.age[rows])

    def concat(self, *others: "PastPoints") -> "PastPoints":
        """These points, then those of ``others``."""
        names = ("points", "remission", "age")
        return replace(self, **{n: np.concatenate([getattr(part, n) for part in (self, *others)]) for n in names})


@dataclass(frozen=True)
class Scan:
    """One LiDAR sweep.

    Attributes:
        points: metres, in the sensor frame.
        remission: 0 to 1.
        kept: mask of the points of the file that these are; None = all. The others are beams without a return, or hit
            the vehicle itself, and have no answer.
        past: points of the scans before it, for a student that requires them; None = not read.
        candidates: fields that may be the remission, if there are several and the sensor names none; the first is it.
    """

    points: Float32[np.ndarray, "n 3"]
    remission: Float32[np.ndarray, "n"]
    kept: Bool[np.ndarray, "stored"] | None = None
    past: PastPoints | None = None
    candidates: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        """Numbers of points, instead of their coordinates."""
        every = "" if self.kept is None else f" of {len(self.kept)} in the file"
        return f"<{type(self).__name__} of {len(self)} points{every}>"

    @property
    def stored(self) -> int:
        """Number of points of the file."""
        return len(self.points) if self.kept is None else len(self.kept)

    def select(self, values: Shaped[np.ndarray, "stored"]) -> Shaped[np.ndarray, "n"]:
        """Values of these points among those of the points of the file."""
        return values if self.kept is None else values[self.kept]

    def spread(self, values: Shaped[np.ndarray, "n"], missing: float = 0) -> Shaped[np.ndarray, "stored"]:
        """Values for every point of the file: ``missing`` for those that have no answer."""
        if self.kept is None:
            return values
        every = np.full(len(self.kept), missing, values.dtype)
        every[self.kept] = values
        return every


@dataclass(frozen=True)
class Camera:
    """Camera. ``projection`` = P_k @ T_cam_velo: homogeneous point (m, sensor frame) -> (u d, v d, d).

    u is to the right and v down, in pixels; d is the depth in metres. With a ``lens``, ``projection`` has its matrix K
    and ignores its distortion.
    """

    name: str
    projection: Float[np.ndarray, "3 4"]
    lens: Lens | None = None


@dataclass(frozen=True)
class PointPixelPairs:
    """Points and their pixels; ``pixel`` is (row, column)."""

    point: Int64[np.ndarray, "m"]
    pixel: Int64[np.ndarray, "m 2"]

    def __len__(self) -> int:
        return len(self.point)


@dataclass(frozen=True)
class Frame:
    """A scan with its labels, cameras and images. Missing parts are None or not in ``images``.

    Attributes:
        labels: train ids 0..19.
        objects: (class << 16 | instance), 0 for no object.
        images: RGB, by camera name.
        beams: of the LiDAR, from which the occlusion test follows; None = constant patches (``occlusion.PATCH``).
    """

    sequence: str
    name: str
    scan: Scan
    labels: UInt8[np.ndarray, "n"] | None = None
    objects: UInt32[np.ndarray, "n"] | None = None
    cameras: tuple[Camera, ...] = ()
    images: dict[str, UInt8[np.ndarray, "h w 3"]] = field(default_factory=dict)
    beams: Beams | None = None

    @property
    def id(self) -> str:
        return f"{self.sequence}/{self.name}"


@dataclass(frozen=True)
class View:
    """One image of a sample as input of the teacher: cropped, and possibly mirrored.

    ``pairs.point`` are rows of the sample's points. ``labels`` are dense train ids, 0 = unknown (segment numbers in the
    training of a teacher); None if the frame has no dense labels for this camera.
    """

    camera: str
    image: UInt8[np.ndarray, "h w 3"]
    pairs: PointPixelPairs
    labels: UInt8[np.ndarray, "h w"] | Int32[np.ndarray, "h w"] | None = None


@dataclass(frozen=True)
class Sample:
    """One scan as input of the network: only points inside the volume, augmented for training.

    Points of past scans follow those of the scan.

    Attributes:
        labels: train ids of the points; 0 for those of past scans.
        views: its images; empty without a teacher.
        faults: (frame, fault) of frames that were selected and could not be read.
        point_to_row: for scoring, the row of ``points`` that represents each point of the complete scan, the point
            itself or the nearest one inside the volume; None in training.
        ground_truth: for scoring, the label of each point of the complete scan; None in training.
        age: seconds before the scan: 0 for its own points, more for those of past scans; None without past scans.
    """

    id: str
    points: Float32[np.ndarray, "n 3"]
    remission: Float32[np.ndarray, "n"]
    labels: Int64[np.ndarray, "n"]
    views: tuple[View, ...] = ()
    point_to_row: Int64[np.ndarray, "all"] | None = None
    ground_truth: Int64[np.ndarray, "all"] | None = None
    faults: tuple[tuple[str, str], ...] = ()
    age: Float32[np.ndarray, "n"] | None = None

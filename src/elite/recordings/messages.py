"""Records of the ROS messages that the library uses; they depend on no ROS package.

Stamps are nanoseconds. ``frame`` is the name of the coordinate frame (frame_id). Bytes are kept as recorded.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from elite.shapes import Float64, UInt8


class PointField(NamedTuple):
    """Field of a PointCloud2: ``count`` numbers of the type ``datatype`` (1 to 8) from byte ``offset`` of a point."""

    name: str
    offset: int
    datatype: int
    count: int = 1


@dataclass(frozen=True, repr=False)
class PointCloud2:
    """Points as bytes: ``height`` rows, each of ``row_step`` bytes, of ``width`` points, each of ``point_step`` bytes.

    Attributes:
        stamp: time of the scan (ns).
        frame: coordinate frame of the points.
        sequence: number of the message, which ROS 1 records.
    """

    stamp: int
    frame: str
    height: int
    width: int
    fields: tuple[PointField, ...]
    is_bigendian: bool
    point_step: int
    row_step: int
    data: UInt8[np.ndarray, "bytes"]
    is_dense: bool
    sequence: int = 0

    def __len__(self) -> int:
        return self.height * self.width

    def __repr__(self) -> str:
        names = " ".join(field.name for field in self.fields)
        return f"<{type(self).__name__} of {self.height} x {self.width} points with {names}>"


@dataclass(frozen=True, repr=False)
class RawImage:
    """Pixels as bytes (sensor_msgs/Image): ``height`` rows, each of ``step`` bytes; ``encoding`` such as bgr8."""

    stamp: int
    frame: str
    height: int
    width: int
    encoding: str
    step: int
    data: UInt8[np.ndarray, "bytes"]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.height} x {self.width} pixels, {self.encoding}>"


@dataclass(frozen=True, repr=False)
class CompressedImage:
    """Contents of an image file (sensor_msgs/CompressedImage); ``format`` as recorded, such as "rgb8; jpeg"."""

    stamp: int
    frame: str
    format: str
    data: UInt8[np.ndarray, "bytes"]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.data)} bytes, {self.format}>"


@dataclass(frozen=True)
class CameraInfo:
    """Calibration of a camera (sensor_msgs/CameraInfo), for images of ``height`` x ``width`` pixels.

    Attributes:
        distortion_model: plumb_bob, rational_polynomial, equidistant, or another one.
        D: coefficients of the distortion.
        K: camera matrix of the recorded, distorted images; zeros = not calibrated.
        R: rotation into the rectified camera.
        P: projection of the rectified camera.
        binning: pixels of the sensor per pixel of the image, (x, y); 0 is the same as 1.
        roi: x, y, width and height of the image on the sensor; zeros = all of it.
    """

    stamp: int
    frame: str
    height: int
    width: int
    distortion_model: str
    D: tuple[float, ...]
    K: Float64[np.ndarray, "3 3"]
    R: Float64[np.ndarray, "3 3"]
    P: Float64[np.ndarray, "3 4"]
    binning: tuple[int, int] = (0, 0)
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class Transform:
    """Pose of the frame ``child`` in the frame ``parent``: ``matrix`` maps points of ``child`` to ``parent`` (m)."""

    stamp: int
    parent: str
    child: str
    matrix: Float64[np.ndarray, "4 4"]


@dataclass(frozen=True)
class TransformTree:
    """Transforms of a message of /tf or /tf_static (tf2_msgs/TFMessage)."""

    transforms: tuple[Transform, ...]


@dataclass(frozen=True)
class Pose(Transform):
    """Pose of a vehicle (nav_msgs/Odometry, geometry_msgs/PoseStamped). ``child`` is empty where none is recorded."""


Record = PointCloud2 | RawImage | CompressedImage | CameraInfo | TransformTree | Pose

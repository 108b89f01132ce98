"""Cameras of a recording: lenses from CameraInfo, and the poses of sensors from trees of transforms.

Frames are those of ROS. That of an image is an optical one: x to the right, y down, z forward.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from elite.errors import ConfigError, DataError
from elite.lenses import Lens, LensModel
from elite.recordings.messages import CameraInfo, Transform, TransformTree
from elite.recordings.recording import Recording
from elite.recordings.topics import Topic
from elite.shapes import Float64

_MODELS: Mapping[str, LensModel] = {
    **dict.fromkeys(("", "none", "plumb_bob", "rational_polynomial"), "pinhole"),
    **dict.fromkeys(("equidistant", "fisheye", "kannala_brandt4"), "fisheye"),
}
_COUNTS = {"pinhole": (0, 4, 5, 8), "fisheye": (0, 4)}  # of coefficients that a lens takes
COMPRESSED = "/compressed"  # after the name of a topic of images
_ASPECT = 2  # pixels by which the size of an image may differ from that of a scaled calibration
_MOVES = 1e-6  # metres, or entries of a rotation
_START_NS = 5 * 10**9  # at the start of a recording, in which transforms of /tf that do not move are looked for
TopicInfo = tuple[Topic, CameraInfo]
_UP = np.cos(np.deg2rad(30))


# ---- lenses ------------------------------------------------------------------------------------------------------


def image_size(info: CameraInfo) -> tuple[int, int]:
    """Height and width of the images that a calibration is of, after its region of interest and binning."""
    _, _, width, height = info.roi
    across, down = (max(step, 1) for step in info.binning)
    return (height or info.height) // down, (width or info.width) // across


def lens_of(info: CameraInfo, size: tuple[int, int], source: object, *, rectified: bool = False) -> Lens:
    """Return the lens of images of ``size`` (height, width).

    The calibration is that of the full sensor: its region of interest is cut out, then binned, as image_geometry of
    ROS does. Images of another size with the same proportions are scaled ones (see ``image_size``).

    Args:
        info: the calibration.
        size: of the recorded images.
        source: names the calibration in errors.
        rectified: whether the images are undistorted, so that P applies instead of K and D.

    Raises:
        DataError: not calibrated, an unknown model of distortion, or images of other proportions.
    """
    K = (info.P[:, :3] if rectified else info.K).copy()
    if not K[0, 0] > 0:
        raise DataError(f"{source}: expected a calibrated camera, found a focal length of {K[0, 0]:g}. Calibrate it.")
    if rectified and info.P[:2, 3].any():
        raise DataError(
            f"{source}: expected a rectified camera without a baseline, found {info.P[:2, 3]} in P. Use its raw images."
        )
    K[:2, 2] -= info.roi[:2]
    K[:2] /= np.maximum(info.binning, 1)[:, None]
    (height, width), (known_height, known_width) = size, image_size(info)
    scale = width / known_width if known_width else 0
    if not scale or abs(known_height * scale - height) > _ASPECT:
        raise DataError(
            f"{source}: expected images of {known_width} x {known_height} pixels, found {width} x {height}. Calibrate "
            "the camera for these images."
        )
    K[:2] *= scale
    model = "pinhole" if rectified else _model(info, source)
    try:
        rows = tuple(map(tuple, K.tolist()))
        return Lens(model, rows, () if rectified else _coefficients(info, model, source))  # type: ignore[arg-type]
    except ConfigError as error:
        raise DataError(f"{source}: {error}") from error


def _model(info: CameraInfo, source: object) -> LensModel:
    if (model := _MODELS.get(info.distortion_model.lower())) is None:
        raise DataError(
            f"{source}: expected the distortion plumb_bob, rational_polynomial or equidistant, found "
            f"'{info.distortion_model:.60}'. Calibrate the camera with one of them, or undistort its images."
        )
    return model


def _coefficients(info: CameraInfo, model: LensModel, source: object) -> tuple[float, ...]:
    """Coefficients in OpenCV's order; those of zero after the last ones of ``Lens`` are dropped."""
    counts = _COUNTS[model]
    kept = info.D[: max(counts)]
    if any(info.D[len(kept) :]) or len(kept) not in counts:
        raise DataError(
            f"{source}: expected {', '.join(map(str, counts))} coefficients of {info.distortion_model or model}, found "
            f"{len(info.D)}. Calibrate the camera without thin prisms and tilt."
        )
    return kept or ((0.0,) * 4 if model == "fisheye" else ())


# ---- topics ------------------------------------------------------------------------------------------------------


def is_rectified(image_topic: str) -> bool:
    """Whether a topic contains undistorted images, by the names of image_proc: image_rect, image_rect_color."""
    words = image_topic.removesuffix(COMPRESSED).rpartition("/")[2].split("_")
    return any(word.startswith("rect") for word in words)  # not "direct"


def info_topic_of(image_topic: str, info_topics: Sequence[str]) -> str | None:
    """Return the topic of the calibration of an image topic: ``camera_info`` in its namespace, or the one above."""
    folder = image_topic
    for _ in range(2):
        folder = folder.rpartition("/")[0]
        if f"{folder}/camera_info" in info_topics:
            return f"{folder}/camera_info"
    return None


def info_of(image_topic: str, frame: str, infos: Sequence[TopicInfo]) -> TopicInfo | None:
    """Return the calibration of an image topic, by its namespace or as the only one of its frame; None without one.

    Args:
        image_topic: its name.
        frame: of the images.
        infos: first calibration of each topic.
    """
    name = info_topic_of(image_topic, [topic.name for topic, _ in infos])
    found = [pair for pair in infos if pair[0].name == name] or [pair for pair in infos if pair[1].frame == frame]
    return found[0] if len(found) == 1 else None


def first_infos(recording: Recording) -> tuple[TopicInfo, ...]:
    """Return the first message of each topic of calibrations."""
    return tuple(
        (topic, message.record)
        for topic in recording.topics_of(CameraInfo)
        if (message := next(recording.messages([topic]), None)) and isinstance(message.record, CameraInfo)
    )


# ---- frames ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FrameTree:
    """Coordinate frames that do not move relative to each other.

    Attributes:
        poses: pose of a frame in another one, by (parent, child).
    """

    poses: Mapping[tuple[str, str], Float64[np.ndarray, "4 4"]]

    @property
    def frames(self) -> tuple[str, ...]:
        """Names of all frames, sorted."""
        return tuple(sorted({frame for pair in self.poses for frame in pair}))

    def between(self, target: str, source: str) -> Float64[np.ndarray, "4 4"]:
        """Return T_target_source: it maps points of the frame ``source`` to the frame ``target`` (metres).

        Raises:
            DataError: no transforms connect the two.
        """
        if (T_target_source := self.find(target, source)) is None:
            raise DataError(
                f"transforms: expected a chain from '{plain_frame(source)}' to '{plain_frame(target)}', found "
                f"{self._listed()}. Record /tf_static from the start, or give a calibration."
            )
        return T_target_source

    def find(self, target: str, source: str) -> Float64[np.ndarray, "4 4"] | None:
        """Return T_target_source as ``between``; None if no transforms connect the two."""
        target, source = plain_frame(target), plain_frame(source)
        found, queue = {target: np.eye(4)}, deque([target])
        while queue and source not in found:
            frame = queue.popleft()
            for other, step in self._neighbours(frame):
                if other not in found:
                    found[other] = found[frame] @ step
                    queue.append(other)
        return found.get(source)

    def _neighbours(self, frame: str) -> Iterable[tuple[str, Float64[np.ndarray, "4 4"]]]:
        """Frames that a transform connects with ``frame``, and their poses in it."""
        for (parent, child), pose in self.poses.items():
            if parent == frame:
                yield child, pose
            elif child == frame:
                yield parent, np.linalg.inv(pose)

    def optical(self, frame: str) -> str:
        """Return the optical frame of a camera: its only child with this word in its name, otherwise ``frame``."""
        frame = plain_frame(frame)
        below = [child for parent, child in self.poses if parent == frame and "optical" in child]
        return below[0] if len(below) == 1 and "optical" not in frame else frame

    def _listed(self) -> str:
        return ", ".join(f"{parent} > {child}" for parent, child in sorted(self.poses)[:20]) or "no transforms"


def plain_frame(frame: str) -> str:
    """Name of a frame without the first slash that ROS 1 has."""
    return frame.removeprefix("/")


def looks_up(T_cam_lidar: Float64[np.ndarray, "4 4"]) -> bool:
    """Whether a camera looks along the LiDAR's z axis: as if its frame were that of a body, with z up."""
    return bool(T_cam_lidar[2, 2] > _UP)


def frame_tree(static: Iterable[Transform], moving: Iterable[Transform] = ()) -> FrameTree:
    """Build the tree of frames.

    Args:
        static: transforms of /tf_static. The last one of two frames counts.
        moving: transforms of /tf. Those that occur at least twice and never differ count too, as older drivers publish.
    """
    samples: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    for transform in moving:
        samples[_pair(transform)].append(transform.matrix)
    still = {pair: found[0] for pair, found in samples.items() if len(found) > 1 and np.ptp(found, 0).max() < _MOVES}
    return FrameTree(still | {_pair(transform): transform.matrix for transform in static})


def _pair(transform: Transform) -> tuple[str, str]:
    return plain_frame(transform.parent), plain_frame(transform.child)


def read_frame_tree(recording: Recording) -> FrameTree:
    """Read the static transforms of a recording, and those of the first seconds of /tf that do not move."""
    topics = recording.topics_of(TransformTree)
    static = [topic for topic in topics if topic.name.endswith("tf_static")]
    moving = [topic for topic in topics if topic not in static]
    stop = recording.span.first + _START_NS if recording.span else 0
    first, later = (
        [transform for message in messages for transform in message.record.transforms]  # type: ignore[union-attr]
        for messages in (recording.messages(static), recording.messages(moving, stop=stop))
    )
    return frame_tree(first, later)

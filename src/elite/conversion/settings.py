"""Settings of a conversion."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from elite.errors import ConfigError

ImageFormat = Literal["png", "jpg"]
_MOST_SYNC = 1.0  # seconds


@dataclass(frozen=True)
class ConversionSettings:
    """Parts of a recording that are converted, and how.

    Attributes:
        topic: point clouds; None = the only such topic.
        frame: coordinate frame of the clouds; None = that of the first one.
        cameras: image topic by name of the camera, or an empty text by a name or a topic of ``elite inspect``; None =
            all cameras with a calibration.
        calibration: YAML file with K, dist, model and T_cam_lidar by name of the camera, instead of those recorded.
        poses: topic of the vehicle's poses, or TOPIC=FRAME with the frame that they are of; ``none`` = no poses; None =
            the only such topic.
        sensor: packaged LiDAR or YAML file; None = guessed.
        taxonomy: classes of the labels: a packaged taxonomy or a YAML file; None = SemanticKITTI's.
        deskew: whether each point is moved by the poses from its own time to that of its scan.
        sync: largest difference between the times of a scan and its image (s).
        start, stop: part of the recording, in seconds from its first message; None = to its end.
        every: number of scans of which one is converted.
        image_format: of images that are recorded as pixels: ``jpg`` (quality 95, all colours) or ``png`` (lossless; 3
            times the size and 50 times the time).
        sequence: name of the folder; None = that of the recording.

    Raises:
        ConfigError: impossible values.
    """

    topic: str | None = None
    frame: str | None = None
    cameras: Mapping[str, str] | None = None
    calibration: Path | None = None
    poses: str | None = None
    sensor: str | None = None
    taxonomy: str | None = None
    deskew: bool = False
    sync: float = 0.05
    start: float = 0.0
    stop: float | None = None
    every: int = 1
    image_format: ImageFormat = "jpg"
    sequence: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.sync <= _MOST_SYNC:
            raise ConfigError(f"--sync: expected 0 to {_MOST_SYNC:g} s, found {self.sync:g} s. Change the value.")
        if self.stop is not None and not self.start < self.stop:
            raise ConfigError(f"--stop: expected more than --start {self.start:g} s, found {self.stop:g} s. Change it.")
        if self.deskew and self.poses == "none":
            raise ConfigError("--deskew: expected poses, found --poses none. Remove one of both options.")
        if wrong := [name for name, topic in (self.cameras or {}).items() if topic and not name.isidentifier()]:
            raise ConfigError(f"--cameras: expected names of letters, digits and _, found '{wrong[0]}'. Rename it.")


def parse_cameras(text: str | None) -> dict[str, str] | None:
    """Parse ``front=/cam_front/image,left,...``; None = all cameras, ``none`` = no camera.

    Raises:
        ConfigError: another form, or a name that occurs twice.
    """
    if text is None or text == "none":
        return None if text is None else {}
    pairs = [part.partition("=") for part in text.split(",")]
    found = {name.strip(): topic.strip() for name, _, topic in pairs}
    if len(found) < len(pairs) or not all(name.strip() and (topic.strip() or not sign) for name, sign, topic in pairs):
        raise ConfigError(f"--cameras: expected NAME,NAME or NAME=TOPIC,NAME=TOPIC, found '{text:.90}'. Correct it.")
    return found

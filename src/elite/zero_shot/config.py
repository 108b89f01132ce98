"""Settings of a student that learns from rendered streets only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elite.config import plain
from elite.synthetic import DriveConfig

_RARE = 2.0  # more trucks, riders and people than in real streets, of which too few are met otherwise
_UNSEEN_SEED, _UNSEEN_STREETS, _UNSEEN_FRAMES = 2**31 - 1, 5, 5  # the same streets for all students, to compare them


@dataclass(frozen=True)
class ZeroShotConfig:
    """Sensor, size and seed.

    Attributes:
        sensor: LiDAR: a packaged sensor, or a YAML file with its elevations and azimuth_step.
        height: mounting height above the road, in metres; by default that of ``sensor``, or 1.73.
        vary_sensor: render another unit in a quarter of the streets, with other beams, height, losses and remission, so
            that the student holds on real units. It is scored on ``sensor`` as it is.
        streets: number of rendered streets to train on (at most 88).
        frames: number of scans of each street.
        steps: number of training steps; by default that of the configuration zero-shot.
        seed: seed of the streets and of the training.
        init: student to train further at half the rate, by its path, or by its name if it is packaged; by default a new
            one.

    Raises:
        ConfigError: impossible values, or a sensor without elevations.
    """

    sensor: str = "hdl-64e"
    height: float | None = None
    vary_sensor: bool = True
    streets: int = 88
    frames: int = 6
    steps: int | None = None
    seed: int = 0
    init: Path | None = None

    def __post_init__(self) -> None:
        self.drive()

    def drive(self) -> DriveConfig:
        """Streets to train on. All of them are training streets, except one that the trainer may validate on."""
        size = {"sequences": self.streets, "frames": self.frames, "seed": self.seed}
        return self._drive(vary_sensor=self.vary_sensor, rare=_RARE, **size)

    def unseen(self) -> DriveConfig:
        """Streets to score on."""
        return self._drive(sequences=_UNSEEN_STREETS, frames=_UNSEEN_FRAMES, seed=_UNSEEN_SEED)

    def _drive(self, **settings: Any) -> DriveConfig:
        return DriveConfig(world=2, cameras=(), sensor=self.sensor, height=self.height, **settings)

    def to_json(self) -> dict[str, Any]:
        """Return plain values to compare: of the sensor its description, since its file may change."""
        sensor = self.drive().lidar
        assert sensor is not None
        return plain(self) | {"sensor": sensor.to_settings(), "height": sensor.height}

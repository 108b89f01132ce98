"""Settings of a synthetic drive."""

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

from elite.errors import ConfigError
from elite.layout import CAMERAS, SPLITS
from elite.sensor import SensorSpec, load_sensor
from elite.sensor_rendering import SensorRendering

CAMERA_NAMES = ("image_2", "image_3", "front", "left", "right", "back")
HEIGHT, RANGE = 1.73, 80.0  # metres: of the default LiDAR, and of a sensor that states none
_BEAMS, _AZIMUTHS = 64, 2048

# Training sequences in the order of rendering: those of the benchmark, then numbers that it does not use.
_TRAINING = (*SPLITS["train"], *(f"{number}" for number in range(22, 100)))

_MOST_RARE = 20
# Smallest and largest plausible value of each number; the upper limits prevent typing errors from filling the disk.
_RANGES = {
    "sequences": (1, len(_TRAINING)),
    "frames": (1, 10_000),
    "test_frames": (0, 10_000),
    "seed": (0, 2**31 - 1),
    "world": (1, 2),
    "beams": (2, 256),
    "azimuths": (16, 8192),
    "image_width": (16, 8192),
    "image_height": (16, 4096),
}


@dataclass(frozen=True)
class DriveConfig:
    """Size of the drive and of its sensors.

    Attributes:
        sequences: number of training sequences (00 to 10 except 08, then 22 to 99). 08 is rendered too, for validation:
            1 gives 00 and 08.
        frames: number of frames per training sequence, and of 08.
        test_frames: number of frames of each test sequence (11 to 21), without labels (0 = no test sequences).
        seed: seed of all random numbers. The same seed gives the same files.
        world: version of the streets and of the sensors' response: 1, or 2, which is nearer to real scans.
        rare: factor on the number of objects of rare classes (trucks, other vehicles, two-wheelers, people) in world 2.
        beams: number of LiDAR beams. 64 are those of the HDL-64E; other numbers resample its fan.
        azimuths: number of firings of a beam per rotation.
        sensor: LiDAR by the name of a packaged sensor or a YAML file, instead of ``beams`` and ``azimuths``.
        height: mounting height of ``sensor`` above the road, in metres; by default its own, or 1.73.
        vary_sensor: another unit in about a quarter of the sequences, with other elevations, mounting height, losses
            and remission, for students that shall hold on other sensors. Requires world 2.
        image_width: image width in pixels. The intrinsics scale with it.
        image_height: image height in pixels.
        cameras: image_2 (left colour), image_3 (right colour) of KITTI; or front, left, right, back: level cameras
            around the LiDAR, 80 degrees wide; or none: scans and labels only, several times faster. ``dataset.yaml``
            describes the files of a drive with level cameras; other drives are read as SemanticKITTI.

    Raises:
        ConfigError: a value is out of range.
    """

    sequences: int = 3
    frames: int = 40
    test_frames: int = 0
    seed: int = 0
    world: int = 1
    rare: float = 1.0
    beams: int = _BEAMS
    azimuths: int = _AZIMUTHS
    sensor: str | None = None
    height: float | None = None
    vary_sensor: bool = False
    image_width: int = 1241
    image_height: int = 376
    cameras: tuple[str, ...] = ("image_2",)

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ConfigError(
                    f"{name}: expected a whole number from {low} to {high}, found {value!r}. Change the value."
                )
        object.__setattr__(self, "cameras", () if [*self.cameras] == ["none"] else tuple(self.cameras))
        if not set(self.cameras) <= set(CAMERA_NAMES) or len(set(self.cameras)) != len(self.cameras):
            raise ConfigError(
                f"cameras: expected some of {', '.join(CAMERA_NAMES)}, or none, found {self.cameras}. Change the value."
            )
        if isinstance(self.rare, bool) or not 0 <= self.rare <= _MOST_RARE:
            raise ConfigError(f"rare: expected a factor from 0 to {_MOST_RARE}, found {self.rare!r}. Change the value.")
        if self.world == 1 and self.rare != 1:
            raise ConfigError(f"rare: expected 1 in world 1, found {self.rare}. Add --world 2.")
        self._check_sensor()

    def _check_sensor(self) -> None:
        sensor = self.lidar
        if self.vary_sensor and self.world == 1:
            raise ConfigError("vary_sensor: expected world 2, found world 1. Add --world 2.")
        if self.height is not None and not self.height > 0:
            raise ConfigError(f"height: expected metres above the road, more than 0, found {self.height}. Change it.")
        if sensor is None and self.height is not None:
            raise ConfigError(f"height: expected a sensor too, found {self.height} without one. Add --sensor.")
        if sensor is not None and (self.beams, self.azimuths) != (_BEAMS, _AZIMUTHS):
            raise ConfigError(
                f"sensor: expected the beams and azimuths of {sensor.name}, found others: {self.beams} and "
                f"{self.azimuths}. Give either --sensor, or --beams and --azimuths."
            )
        if sensor is not None and (len(sensor.elevations) < 2 or sensor.azimuth_step is None):
            raise ConfigError(
                f"sensor: expected elevations of at least two beams and an azimuth_step, found {sensor.name} without "
                "them. Add them to its file."
            )

    @cached_property
    def lidar(self) -> SensorSpec | None:
        """The given sensor with its height and range; its files have x, y, z and remission, as those of any drive."""
        if self.sensor is None:
            return None
        given = load_sensor(self.sensor)
        return SensorSpec(
            given.name,
            elevations=given.elevations,
            azimuth_step=given.azimuth_step,
            height=(given.height or HEIGHT) if self.height is None else self.height,
            range=given.range or RANGE,
            rendering=None if self.world == 1 else given.rendering or SensorRendering(),
        )

    @property
    def is_described(self) -> bool:
        """Whether ``dataset.yaml`` describes all files, since SemanticKITTI's layout lacks a camera of the drive."""
        return not set(self.cameras) <= CAMERAS.keys()

    @property
    def training_sequences(self) -> tuple[str, ...]:
        """Names of the training sequences. The training split of SemanticKITTI lacks those from 22 on."""
        return _TRAINING[: self.sequences]

    def frame_counts(self) -> dict[str, int]:
        """Sequence -> number of its frames, in the order of rendering."""
        counts = dict.fromkeys((*self.training_sequences, *SPLITS["valid"]), self.frames)
        if self.test_frames:
            counts |= dict.fromkeys(SPLITS["test"], self.test_frames)
        return counts

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as recorded with the drive: of a sensor its description, since its file may change."""
        values = asdict(self) | {"cameras": list(self.cameras)}
        fan = ("sensor", "height") if self.lidar is None else ("beams", "azimuths", "height")
        first = ("world", "rare", "vary_sensor") if self.world == 1 else ()  # as recorded when there was no other
        given = {} if self.lidar is None else {"sensor": self.lidar.to_settings()}
        return {name: value for name, value in values.items() if name not in fan + first} | given


def differences(config: DriveConfig, recorded: dict[str, Any]) -> list[str]:
    """Return the names of the settings that differ from a recorded configuration."""
    wanted = config.to_json()
    return [f.name for f in fields(config) if wanted.get(f.name) != recorded.get(f.name)]

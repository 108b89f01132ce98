"""Speed of the ego vehicle and times of the frames of a sequence."""

from dataclasses import dataclass

import numpy as np

from elite.synthetic.config import DriveConfig

_TICK = 0.1  # seconds: the sensors turn at 10 Hz
_PATH = 140.0  # smallest length of a drive in metres, which makes the frames of short drives differ
_LONGEST_STEP = 5.0  # metres between frames at most


@dataclass(frozen=True)
class Timing:
    """Speed of the ego vehicle (m/s) and seconds between the frames of a sequence."""

    speed: float
    interval: float
    frames: int

    @property
    def path_length(self) -> float:
        return self.speed * self.interval * self.frames


def timing(config: DriveConfig, sequence: str) -> Timing:
    """Return the timing of a sequence. Drives with few frames skip turns of the sensors, to cover the same street."""
    frames = config.frame_counts()[sequence]
    speed = float(np.random.default_rng((config.seed, int(sequence), 1)).uniform(4.5, 7.0))
    turns = int(np.clip(round(_PATH / (frames * speed * _TICK)), 1, _LONGEST_STEP / (speed * _TICK)))
    return Timing(speed, turns * _TICK, frames)

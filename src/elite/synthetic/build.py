"""Worlds of the sequences of a drive. The version of the world is a setting, so that drives stay what they are."""

from functools import lru_cache
from types import ModuleType

import numpy as np

from elite.shapes import Float
from elite.synthetic.config import DriveConfig
from elite.synthetic.timing import timing
from elite.synthetic.world import World
from elite.synthetic.world1 import build as world1_build
from elite.synthetic.world2 import build as world2_build

# Each has the functions of the same names as below.
_WORLDS: dict[int, ModuleType] = {1: world1_build, 2: world2_build}


@lru_cache(maxsize=1)
def open_world(config: DriveConfig, sequence: str) -> World:
    """Return the world of a sequence; a process caches the last one, because building takes seconds."""
    return _WORLDS[config.world].build_world(config, sequence)


def ego_poses(config: DriveConfig, sequence: str) -> list[Float[np.ndarray, "4 4"]]:
    """T_world_velo of each frame of a sequence, without the objects of its world: this is fast."""
    times = np.arange(timing(config, sequence).frames) * timing(config, sequence).interval
    return _WORLDS[config.world].ego_poses(config, sequence, times)

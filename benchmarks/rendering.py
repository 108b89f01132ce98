"""CPU time of `elite synth` by part: building a world, placing its moving objects, a scan, an image.

    python benchmarks/rendering.py [--world 2] [--streets 3] [--frames 3] [--sensor hdl-64e]

Seconds are CPU time of one process; the command divides frames among the cores.
"""

import argparse
import time
from collections import defaultdict
from statistics import median

import numpy as np
from _timing import table

from elite.synthetic import DriveConfig
from elite.synthetic.build import open_world
from elite.synthetic.camera import photograph
from elite.synthetic.drive import scan_frame
from elite.synthetic.sensors import camera
from elite.synthetic.timing import timing


class Laps:
    """CPU time between calls of ``end``, by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self._start = time.process_time()

    def end(self, part: str) -> None:
        self.seconds[part].append(time.process_time() - self._start)
        self._start = time.process_time()


def render(config: DriveConfig, sequence: str, frames: int, laps: Laps) -> None:
    """Render the first ``frames`` frames of a sequence."""
    world = open_world(config, sequence)
    laps.end("world")
    for index in range(frames):
        moment, rng = index * timing(config, sequence).interval, np.random.default_rng(index)
        caster, pose, view = world.caster(moment), world.ego_pose(moment), camera(config, "image_2")
        laps.end("moving objects")
        scan_frame(world, caster, config, sequence, index)
        laps.end("scan")
        photograph(world, caster, pose, view, height=config.image_height, width=config.image_width, rng=rng)
        laps.end("image")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=int, default=2)
    parser.add_argument("--streets", type=int, default=3)
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--sensor")
    given = parser.parse_args()
    config = DriveConfig(sequences=given.streets, frames=8, world=given.world, sensor=given.sensor)
    laps = Laps()
    for sequence in list(config.frame_counts())[: given.streets]:
        render(config, sequence, given.frames, laps)
    rows = [[part, f"{median(values):.2f}", f"{max(values):.2f}"] for part, values in laps.seconds.items()]
    print(table(["part", "median (s)", "max (s)"], rows))


if __name__ == "__main__":
    main()

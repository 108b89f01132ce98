"""CPU time of `elite synth` by part: building a world, placing its moving objects, a scan, an image.

    python benchmarks/rendering.py [--world 2] [--streets 3] [--frames 3] [--sensor hdl-64e]

Seconds are those of one process, which do not depend on other load much. The command divides frames among the cores.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import TypeVar

import numpy as np
from _timing import table

from elite.synthetic import DriveConfig
from elite.synthetic.build import open_world
from elite.synthetic.camera import photograph
from elite.synthetic.drive import scan_frame
from elite.synthetic.sensors import camera
from elite.synthetic.timing import timing

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=int, default=2)
    parser.add_argument("--streets", type=int, default=3)
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--sensor")
    given = parser.parse_args()
    config = DriveConfig(sequences=given.streets, frames=8, world=given.world, sensor=given.sensor)
    seconds: dict[str, list[float]] = defaultdict(list)

    def timed(part: str, work: Callable[[], T]) -> T:
        start = time.process_time()
        result = work()
        seconds[part].append(time.process_time() - start)
        return result

    view = camera(config, "image_2")
    for sequence in list(config.frame_counts())[: given.streets]:
        world = timed("world", lambda sequence=sequence: open_world(config, sequence))
        for index in range(given.frames):
            moment = index * timing(config, sequence).interval
            caster = timed("moving objects", lambda moment=moment: world.caster(moment))
            timed("scan", lambda caster=caster, index=index: scan_frame(world, caster, config, sequence, index))
            pose, rng = world.ego_pose(moment), np.random.default_rng(index)
            size = {"height": config.image_height, "width": config.image_width}
            timed("image", lambda caster=caster: photograph(world, caster, pose, view, **size, rng=rng))
    rows = [[part, f"{median(values):.2f}", f"{max(values):.2f}"] for part, values in seconds.items()]
    print(table(["part", "median, s of CPU", "max"], rows))


if __name__ == "__main__":
    main()

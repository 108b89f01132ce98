"""Time of the occlusion test, against a minimum filter over the image, and of the patches of the beams.

    python benchmarks/occlusion.py [--rounds 20] [--threads 2]

The filter is the second implementation, for patches of one size. Rendered scans of KITTI's and nuScenes' sensors,
images of 1241 x 376 and 1600 x 900 pixels.
"""

import numpy as np
from _timing import arguments, conditions, fair_rounds, spread, table
from scipy.ndimage import minimum_filter

from elite.beams import Beams
from elite.geometry import in_image, project
from elite.occlusion import PATCH, beam_patches, is_nearest_in_pixel, visible
from elite.synthetic import DriveConfig
from elite.synthetic.build import open_world
from elite.synthetic.drive import scan_frame
from elite.synthetic.sensors import camera, level_camera
from elite.types import Camera

Inputs = tuple[np.ndarray, Camera, int, int, Beams]
VIEWS = {
    "hdl-64e": (camera(DriveConfig(), "image_2"), 376, 1241, (2, 2)),
    "hdl-32e": (level_camera("front", 1260, 900, 1600, (0.76, 0.02, -0.33), 0), 900, 1600, (21, 7)),
}


def by_filter(inputs: Inputs, rows: int, columns: int) -> np.ndarray:
    points, view, height, width, _ = inputs
    pixel, depth = projected(points, view)
    buffer = np.full((height, width), np.inf, np.float32)
    np.minimum.at(buffer, tuple(pixel.T), depth.astype(np.float32))
    nearest = minimum_filter(buffer, (2 * rows + 1, 2 * columns + 1))[tuple(pixel.T)]
    return ~(nearest < depth - (0.5 + 0.05 * depth)) & is_nearest_in_pixel(pixel, depth, height)


def by_pairs(inputs: Inputs, rows: int, columns: int) -> np.ndarray:
    points, view, height, width, _ = inputs
    pixel, depth = projected(points, view)
    return visible(pixel, depth, height, width, (rows, rows, columns, columns))


def by_beams(inputs: Inputs, rows: int, columns: int) -> np.ndarray:
    points, view, height, width, beams = inputs
    pixel, depth = projected(points, view)
    return visible(pixel, depth, height, width, beam_patches(points, view, beams))


def projected(points: np.ndarray, view: Camera) -> tuple[np.ndarray, np.ndarray]:
    uv, depth = project(points, view)
    return np.floor(uv).astype(np.int64)[:, ::-1], depth


def inputs_of(sensor: str, frames: int) -> list[Inputs]:
    config = DriveConfig(sequences=1, frames=max(2, frames), sensor=sensor)
    view, height, width, _ = VIEWS[sensor]
    world, found = open_world(config, "00"), []
    assert config.lidar is not None
    assert config.lidar.beams is not None
    for i in range(config.frames):
        points = scan_frame(world, world.caster(i / 2), config, "00", i)[0][:, :3].astype(np.float32)
        seen = in_image(project(points, view)[0], height, width)
        found.append((points[seen], view, height, width, config.lidar.beams))
    return found


def main(rounds: int) -> None:
    print(conditions())
    lines = []
    for sensor, (_, _, _, (rows, columns)) in VIEWS.items():
        inputs = inputs_of(sensor, 3)
        for patch in dict.fromkeys((PATCH[::2], (rows, columns))):
            assert all((by_filter(one, *patch) == by_pairs(one, *patch)).all() for one in inputs)
            rules = {"filter": by_filter, "pairs": by_pairs, "beams": by_beams}
            contestants = {name: lambda one, rule=rule, patch=patch: rule(one, *patch) for name, rule in rules.items()}
            seconds = fair_rounds(contestants, inputs, rounds)
            ratios = [spread(seconds[name], seconds["filter"]) for name in ("pairs", "beams")]
            best = f"{1000 * min(seconds['filter']):.1f}"
            lines.append((f"{sensor}, {patch[0]} rows, {patch[1]} columns", best, *ratios))
    print(table(("patch", "filter, ms", "equal patch / filter", "patch of the beams / filter"), lines))


if __name__ == "__main__":
    main(arguments(__doc__, rounds=20, files=False).rounds)

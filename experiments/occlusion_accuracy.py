"""Precision and recall of the occlusion test on rendered streets. The ground truth is one ray per point.

    python -m experiments.occlusion_accuracy

Compares patches that follow from the beams (``elite.occlusion.beam_patches``) with the constant patch and with the
nearest point per pixel. Precision is the share of kept points that are visible, recall the share of visible points that
are kept. Full-size images of three streets; cameras like those of KITTI and of nuScenes (focal lengths and positions).
"""

import argparse
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from elite.beams import Beams
from elite.geometry import in_image, project
from elite.occlusion import PATCH, Patches, beam_patches, is_nearest_in_pixel, visible
from elite.synthetic import DriveConfig
from elite.synthetic.build import open_world
from elite.synthetic.drive import scan_frame
from elite.synthetic.sensors import camera, level_camera
from elite.synthetic.timing import timing
from elite.synthetic.visibility import true_visibility
from elite.types import Camera
from experiments.runs import append_row

STREETS = ("00", "01", "08")
SHARES = (0.5, 0.65, 0.75, 0.85, 1.0)
RULES = ("patch of the beams", "constant patch", "nearest point per pixel")


class View(NamedTuple):
    """A camera with the size of its image."""

    camera: Camera
    height: int
    width: int


VIEWS = {
    "KITTI": View(camera(DriveConfig(), "image_2"), 376, 1241),
    "nuScenes front": View(level_camera("front", 1260, 900, 1600, (0.76, 0.02, -0.33), 0), 900, 1600),
    "nuScenes back": View(level_camera("back", 809, 900, 1600, (-0.92, 0, -0.26), 180), 900, 1600),
    "nuScenes front left": View(level_camera("front left", 1260, 900, 1600, (0.58, 0.49, -0.33), 55), 900, 1600),
}
SETUPS = (
    ("hdl-64e", ("KITTI",)),
    ("hdl-32e", ("nuScenes front", "nuScenes front left", "nuScenes back")),
    ("vlp-32c", ("KITTI", "nuScenes front")),
    ("os1-128", ("KITTI", "nuScenes front")),
)


def kept_by_rule(points: np.ndarray, view: View, beams: Beams) -> dict[str, np.ndarray]:
    """Points of the image that each rule keeps."""
    uv, depth = project(points, view.camera)
    pixel = np.floor(uv).astype(np.int64)[:, ::-1]

    def shown(patches: Patches) -> np.ndarray:
        return visible(pixel, depth, view.height, view.width, patches)

    derived = partial(beam_patches, points, view.camera, beams)
    results = (shown(derived()), shown(PATCH), is_nearest_in_pixel(pixel, depth, view.height))
    shares = {f"{share} of the gap": shown(derived(beam_share=share)) for share in SHARES}
    return dict(zip(RULES, results, strict=True)) | shares


def counts(config: DriveConfig, sequence: str, frame: int, views: tuple[str, ...]) -> dict[tuple[str, str], np.ndarray]:
    """(view, rule) -> numbers of kept visible points, kept points and visible points of one frame."""
    world, time = open_world(config, sequence), frame * timing(config, sequence).interval
    caster = world.caster(time)
    scan = scan_frame(world, caster, config, sequence, frame)[0][:, :3].astype(np.float32)
    assert config.lidar is not None
    assert config.lidar.beams is not None
    found = {}
    for name in views:
        view = VIEWS[name]
        points = scan[in_image(project(scan, view.camera)[0], view.height, view.width)]
        truth = true_visibility(caster, world.ego_pose(time), points, view.camera)
        for rule, kept in kept_by_rule(points, view, config.lidar.beams).items():
            found[name, rule] = np.array([(kept & truth).sum(), kept.sum(), truth.sum()])
    return found


def total_counts(config: DriveConfig, views: tuple[str, ...], frames: int) -> dict[tuple[str, str], np.ndarray]:
    """Sums of ``counts`` over the frames of all streets."""
    total: dict[tuple[str, str], np.ndarray] = {}
    for sequence in STREETS:
        for frame in np.linspace(2, config.frames - 2, frames).astype(int):
            for key, found in counts(config, sequence, int(frame), views).items():
                total[key] = total.get(key, 0) + found
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=4, help="frames per street (default: 4)")
    parser.add_argument("--results", type=Path, help="CSV file to append the scores to")
    args = parser.parse_args()
    print("precision / recall, %")
    for sensor, views in SETUPS:
        for (view, rule), (correct, kept, true) in total_counts(DriveConfig(sensor=sensor), views, args.frames).items():
            precision, recall = f"{100 * correct / kept:.1f}", f"{100 * correct / true:.1f}"
            print(f"{sensor:9s}{view:22s}{rule:26s}{precision} / {recall}", flush=True)
            if args.results:
                row = {"scans": f"{sensor}, {view}", "rule": rule, "precision": precision, "recall": recall}
                append_row(args.results, row)


if __name__ == "__main__":
    main()

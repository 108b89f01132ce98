"""Precision and recall of the occlusion test on rendered streets. The ground truth is one ray per point.

    python -m experiments.occlusion_accuracy

Compares ``elite.geometry.visible`` with the nearest point per pixel. Precision is the share of kept points that are
visible, recall the share of visible points that are kept. Full-size frames of three streets.
"""

import argparse
from pathlib import Path

import numpy as np

from elite.geometry import in_image, is_nearest_in_pixel, project, visible
from elite.synthetic import DriveConfig
from elite.synthetic.drive import open_world, scan_frame, timing
from elite.synthetic.sensors import camera
from elite.synthetic.visibility import true_visibility
from experiments.runs import append_row

CONFIG = DriveConfig()
RULES = ("occlusion test", "nearest point per pixel")


def counts(sequence: str, frame: int) -> np.ndarray:
    """(2 rules, 3): numbers of kept visible points, kept points and visible points of one frame."""
    world, time = open_world(CONFIG, sequence), frame * timing(CONFIG, sequence).interval
    caster, view = world.caster(time), camera(CONFIG, "image_2")
    points = scan_frame(world, caster, CONFIG, sequence, frame)[0][:, :3].astype(np.float32)
    uv, depth = project(points, view)
    seen = in_image(uv, CONFIG.image_height, CONFIG.image_width)
    pixel, depth = np.floor(uv[seen]).astype(np.int64)[:, ::-1], depth[seen]
    truth = true_visibility(caster, world.ego_pose(time), points[seen], view)
    kept_by_rule = (
        visible(pixel, depth, CONFIG.image_height, CONFIG.image_width),
        is_nearest_in_pixel(pixel, depth, CONFIG.image_width),
    )
    return np.array([[(kept & truth).sum(), kept.sum(), truth.sum()] for kept in kept_by_rule])


def report(sequence: str, total: np.ndarray, results: Path | None) -> None:
    cells = []
    for rule, (correct, kept, true) in zip(RULES, total, strict=True):
        precision, recall = f"{100 * correct / kept:.1f}", f"{100 * correct / true:.1f}"
        cells.append(f"{precision} / {recall}")
        if results:
            append_row(results, {"sequence": sequence, "rule": rule, "precision": precision, "recall": recall})
    print(f"{sequence:9s}" + "".join(f"{cell:>26s}" for cell in cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=4, help="frames per street (default: 4)")
    parser.add_argument("--results", type=Path, help="CSV file to append the scores to")
    args = parser.parse_args()
    print(f"{'sequence':9s}" + "".join(f"{rule:>26s}" for rule in RULES) + "    (precision / recall, %)")
    every = np.zeros((2, 3), np.int64)
    for sequence in ("00", "01", "08"):
        frames = np.linspace(2, CONFIG.frames - 2, args.frames).astype(int)
        total = sum((counts(sequence, int(frame)) for frame in frames), np.zeros((2, 3), np.int64))
        report(sequence, total, args.results)
        every += total
    report("all", every, args.results)


if __name__ == "__main__":
    main()

"""How well the occlusion test tells what a camera sees, on rendered streets, where the truth is one ray away.

Prints, for `visible` and for the nearest point per pixel alone: precision (share of the kept points that are truly
visible) and recall (share of the truly visible points that are kept). Full-size frames, three streets.
"""

import argparse

import numpy as np

from elite.geometry import in_image, owns_pixel, project, visible
from elite.synthetic import DriveConfig
from elite.synthetic.drive import open_world, scan_frame, timing
from elite.synthetic.sensors import camera
from elite.synthetic.visibility import true_visibility

CONFIG = DriveConfig()


def counts(sequence: str, frame: int) -> np.ndarray:
    """(2 rules, 3): kept and truly visible, kept, truly visible points of one frame."""
    world, time = open_world(CONFIG, sequence), frame * timing(CONFIG, sequence).interval
    caster, view = world.caster(time), camera(CONFIG, "image_2")
    points = scan_frame(world, caster, CONFIG, sequence, frame)[0][:, :3].astype(np.float32)
    uv, depth = project(points, view)
    seen = in_image(uv, CONFIG.image_height, CONFIG.image_width)
    pixel, depth = np.floor(uv[seen]).astype(np.int64)[:, ::-1], depth[seen]
    truth = true_visibility(caster, world.ego_pose(time), points[seen], view)
    rules = (
        visible(pixel, depth, CONFIG.image_height, CONFIG.image_width),
        owns_pixel(pixel, depth, CONFIG.image_width),
    )
    return np.array([[(kept & truth).sum(), kept.sum(), truth.sum()] for kept in rules])


def line(name: str, total: np.ndarray) -> str:
    precision, recall = total[:, 0] / total[:, 1], total[:, 0] / total[:, 2]
    cells = (f"{100 * p:5.1f} / {100 * r:5.1f}" for p, r in zip(precision, recall, strict=True))
    return f"{name:9s}" + "".join(f"{cell:>24s}" for cell in cells)


def main(frames: int) -> None:
    print(f"{'sequence':9s}{'occlusion test':>24s}{'nearest per pixel':>24s}    (precision / recall, %)")
    every = np.zeros((2, 3), np.int64)
    for sequence in ("00", "01", "08"):
        chosen = np.linspace(2, CONFIG.frames - 2, frames).astype(int)
        total = sum((counts(sequence, int(frame)) for frame in chosen), np.zeros((2, 3), np.int64))
        print(line(sequence, total), flush=True)
        every += total
    print(line("all", every))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=4, help="frames of each street")
    main(parser.parse_args().frames)

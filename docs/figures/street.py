"""The picture in the README: a street, and what a student that never saw it makes of its scan.

Needs the folder that ``make demo`` leaves. The camera image is taken again at full size; the scan is the demo's own.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import elite
from elite.datasets import SemanticKITTI
from elite.geometry import Volume
from elite.report import bev, class_colors, error_colors
from elite.synthetic import DriveConfig
from elite.synthetic.camera import photograph
from elite.synthetic.drive import open_world, timing
from elite.synthetic.sensors import camera

AROUND: Volume = ((-24.0, -24.0, -4.0), (24.0, 24.0, 2.0))  # metres shown from above


def street(sequence: str, frame: int, frames: int, seed: int) -> np.ndarray:
    """The camera image (376, 1241, 3) of one frame of a drive."""
    config = DriveConfig(seed=seed, frames=frames)
    world = open_world(config, sequence)
    time = frame * timing(config, sequence).interval
    pose, view, rng = world.ego_pose(time), camera(config, "image_2"), np.random.default_rng(0)
    return photograph(
        world, world.caster(time), pose, view, height=config.image_height, width=config.image_width, rng=rng
    )[0]


def from_above(dataset: SemanticKITTI, frame: int, student: Path) -> np.ndarray:
    """Truth, prediction and errors of a scan side by side, driving upwards."""
    shown = dataset[frame]
    assert shown.labels is not None
    prediction = elite.Segmenter.load(student)(shown.scan.points, shown.scan.remission).labels
    colors = (class_colors(shown.labels), class_colors(prediction), error_colors(shown.labels, prediction))
    views = [bev(shown.scan.points, color, volume=AROUND, size=820, dot=5) for color in colors]
    return np.hstack([np.pad(view, ((0, 0), (0, 12), (0, 0)), constant_values=255) for view in views])


def main(demo: Path, out: Path, frame: int) -> None:
    dataset = SemanticKITTI(demo / "drive", "08", cameras=())
    above = from_above(dataset, frame, demo / "run" / "checkpoints" / "best.ckpt")[:, :-12]
    front = Image.fromarray(street("08", frame, len(dataset), seed=0))
    width = front.width
    below = Image.fromarray(above).resize((width, round(above.shape[0] * width / above.shape[1])), Image.Resampling.BOX)
    picture = Image.new("RGB", (width, front.height + 8 + below.height), "white")
    picture.paste(front, (0, 0))
    picture.paste(below, (0, front.height + 8))
    picture.quantize(256).save(out, optimize=True)
    print(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default=Path("demo"))
    parser.add_argument("--out", type=Path, default=Path("docs/images/street.png"))
    parser.add_argument("--frame", type=int, default=22)
    args = parser.parse_args()
    main(args.demo, args.out, args.frame)

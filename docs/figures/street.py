"""Picture of the README: a rendered street, its LiDAR scan, and the prediction of a student that was not trained on it.

    python docs/figures/street.py --demo demo

Requires the folder of ``make demo``. The camera image is rendered again at full size; the scan is that of the demo.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import elite
from elite.datasets import SemanticKITTI
from elite.figures import stack_panels
from elite.geometry import Volume
from elite.report import bev, class_colors, error_colors
from elite.synthetic import DriveConfig
from elite.synthetic.build import open_world
from elite.synthetic.camera import photograph
from elite.synthetic.sensors import camera
from elite.synthetic.timing import timing

VOLUME: Volume = ((-24.0, -24.0, -4.0), (24.0, 24.0, 2.0))  # metres, in the view from above
SPACE = 12  # pixels between views
TITLE = "Scan from above: ground truth, prediction, errors in red"


def camera_image(sequence: str, frame: int, frames: int, seed: int) -> np.ndarray:
    """Render the camera image (376, 1241, 3) of one frame of a drive."""
    config = DriveConfig(seed=seed, frames=frames)
    world = open_world(config, sequence)
    time = frame * timing(config, sequence).interval
    pose, view, rng = world.ego_pose(time), camera(config, "image_2"), np.random.default_rng(0)
    return photograph(
        world, world.caster(time), pose, view, height=config.image_height, width=config.image_width, rng=rng
    )[0]


def views_from_above(dataset: SemanticKITTI, frame: int, student: Path) -> np.ndarray:
    """Ground truth, prediction and errors of a scan side by side. The vehicle drives upwards."""
    scan, truth = dataset[frame].scan, dataset[frame].labels
    assert truth is not None
    prediction = elite.Segmenter.load(student)(scan.points, scan.remission).labels
    classes = [class_colors(labels, dataset.taxonomy) for labels in (truth, prediction)]
    colors = (*classes, error_colors(truth, prediction))
    views = [bev(scan.points, color, volume=VOLUME, size=820, dot=5) for color in colors]
    return np.hstack([np.pad(view, ((0, 0), (0, SPACE), (0, 0)), constant_values=255) for view in views])[:, :-SPACE]


def main(demo: Path, out: Path, frame: int) -> None:
    dataset = SemanticKITTI(demo / "drive", "08", cameras=())
    above = Image.fromarray(views_from_above(dataset, frame, demo / "run" / "checkpoints" / "best.ckpt"))
    front = Image.fromarray(camera_image("08", frame, len(dataset), seed=0))
    strip = above.resize((front.width, round(above.height * front.width / above.width)), Image.Resampling.BOX)
    below = stack_panels({TITLE: np.asarray(strip)}, range(1, len(dataset.taxonomy)), dataset.taxonomy)
    # A palette of 256 colours would merge the colours of classes.
    Image.fromarray(np.vstack([np.asarray(front), below])).save(out, quality=86, subsampling=0)
    print(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="folder of make demo")
    parser.add_argument("--out", type=Path, default=Path("docs/images/street.jpg"))
    parser.add_argument("--frame", type=int, default=22, help="frame of sequence 08")
    args = parser.parse_args()
    main(args.demo, args.out, args.frame)

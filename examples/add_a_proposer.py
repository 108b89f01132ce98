"""Lesson 4: add a proposer of image regions for pseudo-labels.

    python examples/add_a_proposer.py DRIVE

A pseudo-label extends the labels of LiDAR points to the pixels between them. A proposer decides which pixels belong to
the object of a labelled point. The library has a watershed and SAM; this one takes the pixels that are nearer to a
point of the object than to any other, up to a distance.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from elite.cli import main as elite
from elite.pseudo_labels.records import Masks, Prompt, Seeds


class NearestSeed:
    """Regions of nearest seeds. A seed is a labelled point at its pixel; a segment is the set of seeds of an object."""

    max_prompts = None  # without a limit: a prompt costs nothing
    distance = 12.0  # pixels

    def open(self, image: np.ndarray, seeds: Seeds) -> "Regions":
        """Prepare one image (h, w, 3). Everything that is shared by its prompts belongs here."""
        segment = np.full(image.shape[:2], -1)
        segment[tuple(seeds.pixel.T)] = seeds.segment
        distance, nearest = distance_transform_edt(segment < 0, return_indices=True)  # type: ignore[misc]
        return Regions(np.where(distance <= self.distance, segment[tuple(nearest)], -1))

    def describe(self) -> dict[str, Any]:
        """Name and settings. Stored with each pseudo-label: after a change they are generated again."""
        return {"name": "nearest-seed", "distance": self.distance}


class Regions:
    """Segment of each pixel, -1 = none."""

    def __init__(self, segment: np.ndarray) -> None:
        self.segment = segment

    def propose(self, prompts: list[Prompt]) -> Masks:
        """One region per prompt, with quality and stability 1, because this proposer does not estimate them."""
        inside = np.array([self.segment == prompt.segment for prompt in prompts])
        ones = np.ones(len(prompts), np.float32)
        return Masks(np.arange(len(prompts)), inside, ones, ones)


def main(drive: Path, frames: str) -> int:
    # The command imports the class by its name, as `elite pseudo-label ... --proposer module:Class` does in a shell
    # with PYTHONPATH set to the folder of the module.
    sys.path.insert(0, str(Path(__file__).parent))
    data = [str(drive), "--sequences", "08", "--frames", frames]
    ours, watershed = ["--proposer", "add_a_proposer:NearestSeed"], ["--proposer", "watershed"]

    # Images with pseudo-labels, at DRIVE/sequences/08/image_2_nearest; `elite train` reads them with
    # --data.dense-labels image_2_nearest.
    status = elite(["pseudo-label", *data, *ours, "--folder", "nearest", "--pictures"])

    # Half of the laser rings are hidden; their labels are the ground truth. Compare accuracy at equal coverage.
    return status or elite(["score-pseudo-labels", *data, *ours]) or elite(["score-pseudo-labels", *data, *watershed])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drive", type=Path, help="data set with images, such as that of elite synth")
    parser.add_argument("--frames", default="0-1")
    raise SystemExit(main(**vars(parser.parse_args())))

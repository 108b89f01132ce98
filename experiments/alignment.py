"""Alignment of scans and images: the stated calibration of a data set against planted rotations of its cameras.

    python -m experiments.alignment DATA [DATA ...]

Prints, for each camera, how far the score of ``elite check`` is from chance (standard deviations of shifted
projections), as stated and turned about z in both directions; and whether the check reports the camera in each case.
"""

import argparse
from copy import copy
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from elite.datasets import Dataset, open_dataset
from elite.datasets.check import advise, survey
from elite.datasets.check.survey import Survey
from elite.types import Camera


def turned(dataset: Dataset, degrees: float) -> Dataset:
    """The data set with all cameras turned about the z axis of the sensor."""
    other = copy(dataset)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("z", degrees, degrees=True).as_matrix()

    def cameras(i: int) -> tuple[Camera, ...]:
        return tuple(replace(c, projection=c.projection @ turn) for c in dataset.frame_cameras(i))

    other.frame_cameras = cameras  # type: ignore[method-assign]
    return other


def reported(found: Survey, dataset: Dataset, name: str) -> str:
    """Mark of a camera that the check reports: * = a change, ? = a look at the pictures."""
    advice = [a for a in advise(found, dataset.sensor, dataset.taxonomy) if a.message.startswith(f"cameras.{name}:")]
    return "" if not advice else "*" if advice[0].is_certain else "?"


def rows(root: str, degrees: float) -> list[list[str]]:
    dataset = open_dataset(root)
    cases = [(0.0, survey(dataset)), *((turn, survey(turned(dataset, turn))) for turn in (degrees, -degrees))]
    table = []
    for name in dataset.cameras:
        cells = [root.rstrip("/").rpartition("/")[2], name]
        for _, found in cases:
            alignment = found.cameras[name].alignment
            cells.append("-" if alignment is None else f"{alignment.sigmas(alignment.score):.1f}")
            cells[-1] += reported(found, dataset, name)
        table.append(cells)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--degrees", type=float, default=2.0, help="angle of the planted rotations")
    args = parser.parse_args()
    head = ["data", "camera", "stated", f"+{args.degrees:g}", f"-{args.degrees:g}"]
    for cells in [head, ["---"] * len(head), *(row for root in args.data for row in rows(root, args.degrees))]:
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

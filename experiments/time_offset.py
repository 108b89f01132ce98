"""Time offsets of cameras: those that ``elite check`` estimates against planted ones.

    python -m experiments.time_offset [DATA ...]

Renders the scans of two streets, and their images at other times, and prints for each camera and each planted offset
the estimate with its 90 % interval (ms), and whether the check reports it (*). For DATA with poses and times, the
images of the previous and the next frames take the place of those of the frame; the last line compares the poses with
the scans alone.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from scipy.spatial import KDTree

from elite.datasets import Dataset, open_dataset
from elite.datasets.check import Survey, advise
from elite.datasets.check.alignment import depth_edges
from elite.datasets.check.camera_measures import CameraMeasures, CameraSurvey, motion_at, rates
from elite.datasets.formats import read_image
from elite.sensor import load_sensor
from elite.synthetic.build import open_world
from elite.synthetic.camera import photograph
from elite.synthetic.config import DriveConfig
from elite.synthetic.sensors import camera
from elite.taxonomy import load_taxonomy
from elite.types import Camera

OFFSETS_S = (-0.1, -0.04, 0.0, 0.04, 0.1)
CAMERAS = ("front", "left", "right")
STREETS = (("00", 0, "hdl-64e"), ("08", 1, "os1-128"))  # sequence, seed, sensor
_SIZE = (400, 640)  # rows and columns
_EVERY_S = 2.0


@dataclass(frozen=True)
class View:
    """A scan and an image of it."""

    points: Float32[np.ndarray, "n 3"]
    camera: Camera
    image: UInt8[np.ndarray, "h w 3"]
    velocity: Float64[np.ndarray, "6"] | None


def rendered(config: DriveConfig, sequence: str, frames: int) -> Iterator[dict[tuple[str, float], View]]:
    """Yield the views of each scan by camera and time of the image after the scan."""
    world = open_world(config, sequence)
    for k in range(frames):
        time = 1.0 + k * _EVERY_S
        points, _ = world.scan(world.caster(time), world.ego_pose(time), np.random.default_rng(k))
        velocity = rates(world.ego_pose(time - 0.05), world.ego_pose(time + 0.05), 0.1)
        views = {}
        for offset in OFFSETS_S:
            caster, pose = world.caster(time + offset), world.ego_pose(time + offset)
            for name in config.cameras:
                lens, noise = camera(config, name), np.random.default_rng((k, 1))
                image, *_ = photograph(world, caster, pose, lens, height=_SIZE[0], width=_SIZE[1], rng=noise)
                views[name, offset] = View(points[:, :3].astype(np.float32), lens, image, velocity)
        yield views


def shifted(dataset: Dataset, name: str, frames: int) -> Iterator[View]:
    """Yield the scans with the images of so many frames later."""
    for i in range(len(dataset)):
        if 0 <= i + frames < len(dataset) and dataset.ids[i].sequence == dataset.ids[i + frames].sequence:
            images = {image.camera: image.path for image in dataset.images(i + frames)}
            cameras = {c.name: c for c in dataset.frame_cameras(i)}
            if name in images and name in cameras:
                yield View(dataset.scan(i).points, cameras[name], read_image(images[name]), motion_at(dataset, i))


def pose_scale(dataset: Dataset, i: int) -> float:
    """Share of the distance between the poses of two successive scans at which their points match best."""
    change = np.linalg.inv(dataset.pose(i + 1)) @ dataset.pose(i)  # type: ignore[arg-type,operator]
    before, after = (_upright(dataset.scan(k).points) for k in (i, i + 1))
    tree, shares = KDTree(after), np.arange(0.5, 1.5, 0.05)
    moved = before[::7] @ change[:3, :3].T
    return float(shares[np.argmin([np.median(tree.query(moved + s * change[:3, 3])[0]) for s in shares])])


def _upright(points: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "m 3"]:
    """Points above the road and nearer than 40 m."""
    return points[(points[:, 2] > -1.2) & (np.hypot(points[:, 0], points[:, 1]) < 40)]


def measured(views: Iterable[View]) -> CameraMeasures:
    collected = CameraSurvey()
    for view in views:
        collected.add(view.points, depth_edges(view.points), view.camera, view.image, view.velocity)
    return collected.finish(0, 0, ())


def cell(found: CameraMeasures) -> str:
    """Estimate (ms) of a camera; * = reported."""
    advice = advise(Survey(cameras={"camera": found}), load_sensor("hdl-64e"), load_taxonomy("semantickitti"))
    mark = "*" if any(a.kind == "times" for a in advice) else ""
    offset = found.offset
    if offset is None or not offset.is_determined:
        return f"-{mark}"
    return f"{1000 * offset.best:+.0f} ({1000 * offset.low:+.0f} to {1000 * offset.high:+.0f}){mark}"


def rendered_rows(frames: int) -> Iterator[list[str]]:
    yield ["street, camera", *(f"{1000 * offset:+.0f} ms" for offset in OFFSETS_S)]
    for sequence, seed, sensor in STREETS:
        size: dict[str, Any] = {"image_height": _SIZE[0], "image_width": _SIZE[1]}
        config = DriveConfig(sequences=1, frames=250, seed=seed, sensor=sensor, height=1.8, cameras=CAMERAS, **size)
        views = [*rendered(config, sequence, frames)]
        for name in CAMERAS:
            yield [f"{sensor}, {name}", *(cell(measured(v[name, offset] for v in views)) for offset in OFFSETS_S)]


def data_rows(root: str) -> Iterator[list[str]]:
    dataset = open_dataset(root)
    steps = (-2, -1, 0, 1, 2)
    yield ["data, camera", *(f"{step:+d} frames" for step in steps)]
    for name in dataset.available_cameras():
        dataset = open_dataset(root, cameras=(name,))
        yield [f"{Path(root).name}, {name}", *(cell(measured(shifted(dataset, name, step))) for step in steps)]
    shares = [pose_scale(dataset, i) for i in range(len(dataset) - 1) if motion_at(dataset, i) is not None]
    yield [f"{Path(root).name}: distance of the scans / of the poses", *(f"{share:.2f}" for share in shares)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*")
    parser.add_argument("--frames", type=int, default=4, help="scans of each rendered street; 0 = none")
    args = parser.parse_args()
    tables = [*([rendered_rows(args.frames)] if args.frames else []), *map(data_rows, args.data)]
    for table in tables:
        for number, cells in enumerate(table):
            print("| " + " | ".join(cells) + " |", flush=True)
            if number == 0:
                print("|" + "---|" * len(cells), flush=True)


if __name__ == "__main__":
    main()

"""Pictures of rendered objects, one by one: a camera image and LiDAR scans of each, on a contact sheet.

``python -m tests.support.gallery trees OUT.png [--kind NAME] [--seeds N]`` draws kinds of a module of
``elite.synthetic``; each row has one object: its image, and its scans at 8 and 20 m, coloured by class.
"""

import argparse
import importlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from elite.pictures import palette
from elite.synthetic.camera import photograph
from elite.synthetic.classes import TAXONOMY, raw_id
from elite.synthetic.config import DriveConfig
from elite.synthetic.kinds import Kind
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Paint, Part, moved_parts, pose, relabelled, soup, triangles
from elite.synthetic.raycast import Caster, TriangleScene
from elite.synthetic.scanner import scanner
from elite.synthetic.world import Light, World, collect_paints
from elite.synthetic.world2.lidar import scan
from elite.types import Camera

HEIGHT = 1.73  # metres, of the LiDAR and the camera above the ground
_W, _H = 440, 300
_LIGHT = Light(
    sun=np.array([-0.5, -0.55, 0.67]),
    sun_color=np.array([3.3, 3.0, 2.5]),
    zenith=np.array([0.11, 0.27, 0.72]),
    horizon=np.array([0.66, 0.73, 0.84]),
    clouds=0.2,
    haze=600.0,
    sky_offset=np.zeros(2),
)


class Exhibit(World):
    """World with one object in front of the sensors, on flat ground; the sensors are at the origin, looking along x."""

    def __init__(self, parts: list[Part], distance: float, yaw: float = 0.0) -> None:
        standing = [_ground(), *moved_parts(parts, pose(distance, yaw=yaw))]
        super().__init__(
            street=None,  # pyright: ignore[reportArgumentType]
            static=TriangleScene(soup(standing, 0)),
            movers=(),
            paints=collect_paints(standing),
            light=_LIGHT,
            speed=0.0,
            scanner=scanner(DriveConfig(world=2)),
        )

    def ego_pose(self, time: float) -> Float[np.ndarray, "4 4"]:
        return pose(z=HEIGHT)

    def scan(
        self, caster: Caster, pose: Float[np.ndarray, "4 4"], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        return scan(caster, self.paints, pose, self.scanner, rng)


def _ground() -> Part:
    corners = np.array([[(-9, -60, 0), (90, -60, 0), (90, 60, 0)], [(-9, -60, 0), (90, 60, 0), (-9, 60, 0)]], float)
    return Part(triangles(corners), Paint(Material.SLABS, raw_id("sidewalk"), (0.32, 0.31, 0.29)))


def made(kind: Kind, seed: int, length: float | None = None) -> list[Part]:
    """Object ``seed`` of a kind, of a drawn length if it has one; movable objects have the label of their class."""
    rng = np.random.default_rng(seed)
    if kind.lengths:
        low, high = kind.lengths
        parts = kind.make(rng, length or float(rng.uniform(low, min(high, low + 12))))
    else:
        parts = kind.make(rng)
    return relabelled(parts, raw_id(kind.label), seed + 1) if kind.label else parts


def view(focal: float = 330.0) -> Camera:
    """Level camera at the LiDAR, looking along x, the horizon below its middle."""
    intrinsics = np.array([(focal, 0, _W / 2), (0, focal, _H * 0.62), (0, 0, 1)])
    to_camera = np.array([(0, -1, 0), (0, 0, -1), (1, 0, 0)], float)
    return Camera("image_2", intrinsics @ np.column_stack([to_camera, np.zeros(3)]))


def exhibit_images(parts: list[Part], near: float, yaw: float) -> list[Image.Image]:
    """The image at ``near`` (m), and the scans at 8 and 20 m from the near side."""
    rng = np.random.default_rng(0)
    world = Exhibit(parts, near, yaw)
    image, _, _ = photograph(world, world.caster(0), world.ego_pose(0), view(), height=_H, width=_W, rng=rng)
    return [Image.fromarray(image), *(_scan_image(Exhibit(parts, far, yaw), far, rng) for far in (8.0, 20.0))]


def _scan_image(world: Exhibit, distance: float, rng: np.random.Generator) -> Image.Image:
    points, label = world.scan(world.caster(0), world.ego_pose(0), rng)
    colors = palette(TAXONOMY)[TAXONOMY.to_train(label & 0xFFFF)]
    ahead = points[:, 0] > 1
    x, y, z = points[ahead, :3].T
    focal = 55.0 * distance
    column, line = _W / 2 - focal * y / x, _H * 0.55 - focal * z / x
    canvas = np.full((_H, _W, 3), 20, np.uint8)
    inside = (column >= 0) & (column < _W - 1) & (line >= 0) & (line < _H - 1)
    order = np.flatnonzero(inside)[np.argsort(-x[inside])]
    shade = (0.7 + 0.3 * np.cos(4 * np.linalg.norm(points[ahead, :2], axis=1)))[:, None]  # a ring every 1.6 m of depth
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        canvas[line[order].astype(int) + down, column[order].astype(int) + right] = (colors[ahead] * shade)[order]
    return Image.fromarray(canvas)


def contact_sheet(kinds: Mapping[str, Kind], seeds: int, near: float, yaw: float, first: int = 0) -> Image.Image:
    """One row for each object, its name and number of triangles on it."""
    rows = [(name, kind, seed) for name, kind in kinds.items() for seed in range(first, first + seeds)]
    columns = 2 if len(rows) > 6 else 1
    sheet = Image.new("RGB", (3 * _W * columns, _H * -(-len(rows) // columns)))
    for i, (name, kind, seed) in enumerate(rows):
        parts = made(kind, seed)
        depth = max(near, near - kind.x[0])
        for j, image in enumerate(exhibit_images(parts, depth, yaw)):
            sheet.paste(image, ((3 * (i % columns) + j) * _W, i // columns * _H))
        count = sum(len(part.mesh.corners) for part in parts)
        ImageDraw.Draw(sheet).text(
            (3 * (i % columns) * _W + 4, i // columns * _H + 4), f"{name} {seed}: {count}", fill="red"
        )
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("out", type=Path)
    parser.add_argument("--kind", action="append")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--near", type=float, default=9.0)
    parser.add_argument("--yaw", type=float, default=0.0)
    arguments = parser.parse_args()
    kinds = importlib.import_module(f"elite.synthetic.{arguments.module}").KINDS
    chosen = {name: kind for name, kind in kinds.items() if not arguments.kind or name in arguments.kind}
    contact_sheet(chosen, arguments.seeds, arguments.near, arguments.yaw, arguments.first).save(arguments.out)


if __name__ == "__main__":
    main()

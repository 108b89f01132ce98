"""Render a camera image of the world and its dense labels."""

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from elite.shapes import Bool, Float, UInt8, UInt16
from elite.synthetic.raycast import Caster
from elite.synthetic.sensors import camera_center, pixel_rays
from elite.synthetic.shading import develop, radiance
from elite.synthetic.world import World
from elite.types import Camera


def photograph(
    world: World,
    caster: Caster,
    pose: Float[np.ndarray, "4 4"],
    view: Camera,
    *,
    height: int,
    width: int,
    rng: np.random.Generator,
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt16[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]:
    """Render (image, raw semantic ids, instance ids) of ``view`` with the LiDAR at ``pose``; the sky has id 0.

    Labels are those at the pixel centres. Pixels on edges get a few more rays, so that edges are not jagged.
    """
    v, u = np.divmod(np.arange(height * width, dtype=np.int32), width)
    uv = np.stack([u, v], axis=1).astype(np.float32) + np.float32(0.5)
    color, paint, distance = _look(world, caster, pose, view, uv)
    edges = np.flatnonzero(_edges(paint, distance, height, width))
    for shift in np.array([(-0.3, -0.25), (0.3, 0.25)], np.float32):
        color[edges] += _look(world, caster, pose, view, uv[edges] + shift)[0]
    color[edges] /= 3
    image = develop(color.reshape(height, width, 3), rng)
    seen = paint >= 0
    semantic = np.where(seen, world.paints.label[paint], 0).astype(np.uint16)
    instance = np.where(seen, world.paints.instance[paint], 0).astype(np.uint16)
    return image, semantic.reshape(height, width), instance.reshape(height, width)


def _look(
    world: World, caster: Caster, pose: Float[np.ndarray, "4 4"], view: Camera, uv: Float[np.ndarray, "n 2"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(linear colour, paint row, distance) through each image point."""
    center = pose[:3, :3] @ camera_center(view) + pose[:3, 3]
    rays = pixel_rays(view, uv) @ pose[:3, :3].T.astype(np.float32)
    hits = caster.cast(center, rays)
    pixel_angle = 1 / float(np.linalg.norm(view.projection[0, :2]))
    return radiance(world, caster, hits, rays, pixel_angle), hits.paint, hits.distance


def _edges(paint: np.ndarray, distance: np.ndarray, height: int, width: int) -> Bool[np.ndarray, "n"]:
    """Pixels with more than one surface in their neighbourhood."""
    paint = paint.reshape(height, width)
    near = np.where(np.isfinite(distance), distance, 1e4).reshape(height, width)
    mixed = maximum_filter(paint, 3) != minimum_filter(paint, 3)
    jump = maximum_filter(near, (1, 3)) > 1.05 * minimum_filter(near, (1, 3)) + 0.1
    return (mixed | jump).ravel()

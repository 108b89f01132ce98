"""Exact visibility of points from a camera: ground truth for occlusion tests that use the points only."""

import numpy as np

from elite.shapes import Bool, Float
from elite.synthetic.raycast import Caster
from elite.synthetic.sensors import camera_center
from elite.types import Camera

_SLACK = 0.12, 0.005  # metres, and share of the distance: covers the range noise of a point


def true_visibility(
    caster: Caster, pose: Float[np.ndarray, "4 4"], points: Float[np.ndarray, "n 3"], view: Camera
) -> Bool[np.ndarray, "n"]:
    """Whether the line from the camera to each point is free; the point may be outside the image.

    ``caster`` is the world at the time of the frame, ``pose`` its T_world_velo; points are in the sensor frame.
    The last part of the line is left out: noise may put a point a little behind the surface that it lies on.
    """
    center = camera_center(view)
    rays = points - center
    distance = np.linalg.norm(rays, axis=1)
    reach = np.maximum(distance - _SLACK[0] - _SLACK[1] * distance, 0)
    directions = (rays / distance[:, None]) @ pose[:3, :3].T
    return ~caster.blocked(pose[:3, :3] @ center + pose[:3, 3], directions, reach)

"""Clouds of any layout with beams that have no return, and clouds that contradict themselves."""

from typing import Any

import numpy as np

from elite.recordings import PointField
from tests.support.recordings import LAYOUTS


def points(layout: str, count: int = 24, seed: int = 0) -> dict[str, np.ndarray]:
    """Numbers of a layout; the first point is at the origin, the second one has NaN."""
    rng = np.random.default_rng(seed)
    values = {name: rng.integers(0, 100, count).astype(kind) for name, (kind, _) in LAYOUTS[layout][0].items()}
    xyz = np.column_stack([*rng.uniform(-60, 60, (2, count)), rng.normal(-1.5, 0.3, count)]).astype(np.float32)
    xyz[:1], xyz[1:2] = 0, np.nan
    return values | dict(zip("xyz", xyz.T, strict=True))


# Changes that make a cloud of the layout velodyne, of 4 x 6 points, contradict itself.
WRONG_CLOUDS: dict[str, dict[str, Any]] = {
    "no fields": {"fields": ()},
    "a field beyond the point": {"fields": (PointField("x", 20, 8),)},
    "an offset beyond all": {"fields": (PointField("x", 2**32 - 1, 7),)},
    "a count beyond the point": {"fields": (PointField("x", 0, 7, 2**32 - 1),)},
    "another datatype": {"fields": (PointField("x", 0, 9),)},
    "two fields of a name": {"fields": (PointField("x", 0, 7), PointField("x", 4, 7))},
    "a name with a line break": {"fields": (PointField("x\n", 0, 7),)},
    "points of no bytes": {"point_step": 0},
    "no points of any size": {"point_step": 2**32 - 1, "width": 0},
    "too many rows": {"height": 2**32 - 1},
    "too many columns": {"width": 2**32 - 1},
    "short rows": {"row_step": 47},
    "long rows": {"row_step": 2**32 - 1},
    "fewer bytes": {"data": np.zeros(4 * 6 * 22 - 1, np.uint8)},
    "no bytes": {"data": np.zeros(0, np.uint8)},
}

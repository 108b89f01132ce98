"""Points, cameras and the volume: pure functions of numpy arrays, in the sensor frame and in metres."""

import numpy as np
from scipy.linalg import rq
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue] (a compiled class without stubs)

from elite.shapes import Bool, Float, Float32, Float64, Int64
from elite.types import Camera

Volume = tuple[tuple[float, float, float], tuple[float, float, float]]
_SAMPLE = 32  # every 32nd candidate gives an upper bound of the distance to the nearest candidate
_CELLS = 64  # along x and along y, of the grid that finds the candidates within that distance
_SCAN = 2**17  # points of a scan: the time limit of smaller ones is the same
_PAIRS = 512  # distances per point: less than a second for a scan
_LEAVES = 64  # visited leaves of a k-d tree per point: about a second for a scan
_PROBES = 64  # queries for the estimate of visited leaves
_LARGEST = float(np.finfo(np.float32).max)
_FAR = 1e9  # distance, in half diagonals of the candidates, beyond which only the direction to them matters


def in_volume(points: Float32[np.ndarray, "n 3"], volume: Volume) -> Bool[np.ndarray, "n"]:
    """Mask of the points strictly inside the box ``(low corner, high corner)`` (m)."""
    inside = np.ones(len(points), bool)
    for axis, (low, high) in enumerate(np.asarray(volume, np.float32).T):  # several times faster than rows of three
        inside &= (points[:, axis] > low) & (points[:, axis] < high)
    return inside


def is_rotation(matrix: Float64[np.ndarray, "3 3"], tolerance: float) -> bool:
    """Whether a matrix is a rotation, not a reflection, within ``tolerance`` of R R^T from the identity."""
    deviation = np.abs(matrix @ matrix.T - np.eye(3)).max()
    return bool(deviation < tolerance and np.linalg.det(matrix) > 0)  # False for NaN


def moved(points: Float[np.ndarray, "n 3"], pose: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "n 3"]:
    """Transform points to the target frame; ``pose`` is T_target_source."""
    return (points @ pose[:3, :3].T + pose[:3, 3]).astype(points.dtype)


def nearest(points: Float32[np.ndarray, "n 3"], candidates: Bool[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
    """For each point, the rank of its nearest candidate among the candidates (a candidate is its own nearest).

    With it, a point outside the volume gets the label of the nearest predicted point. Among equally near candidates the
    choice is arbitrary. At least one candidate and finite coordinates are required.

    The time is bounded for any input (130,000 points: below 2 s). Therefore the result is approximate, the nearest of
    every k-th candidate, for one kind of input: many points almost equally far from very many candidates, such as
    points near the centre of a sphere.
    """
    rank = np.cumsum(candidates, dtype=np.int64) - 1
    outside = ~candidates
    if outside.any():
        rank[outside] = _nearest_rows(points.compress(candidates, axis=0), points.compress(outside, axis=0))
    return rank


def farther_than(
    radius: float, points: Float32[np.ndarray, "n 3"], others: Float32[np.ndarray, "n 3"]
) -> Bool[np.ndarray, "n"]:
    """Mask of the points farther than ``radius`` (m) from the point of the same row in ``others``."""
    return np.linalg.norm(points.astype(np.float64) - others, axis=1) > radius  # float32 squares can be infinite


def _nearest_rows(targets: Float32[np.ndarray, "m 3"], queries: Float32[np.ndarray, "k 3"]) -> Int64[np.ndarray, "k"]:
    """The row of the target nearest to each query."""
    points = max(len(targets) + len(queries), _SCAN)
    queries = queries.astype(np.float64)  # float32 squares can be infinite
    near = _within_reach(targets, queries, _PAIRS * points)
    if len(near) * len(queries) <= _PAIRS * points:
        # Building an unbalanced tree takes half the time. The digits of the coordinates bound its depth.
        return near[cKDTree(targets[near], balanced_tree=False).query(queries)[1]]
    near = near[_distinct(targets[near])[0]]
    first, same = _distinct(queries)
    tree = cKDTree(targets[near], balanced_tree=False)
    queries = _moved_closer(queries[first], tree)
    if _visits_more_leaves(tree, queries, _LEAVES * points):
        near = near[:: 1 + len(near) * len(queries) // (_PAIRS * points)]
        tree = cKDTree(targets[near], leafsize=len(near))
    return near[tree.query(queries)[1]][same]


def _within_reach(
    targets: Float32[np.ndarray, "m 3"], queries: Float64[np.ndarray, "k 3"], pairs: int
) -> Int64[np.ndarray, "r"]:
    """Rows of ``targets`` that include the nearest one of every query; few rows if the queries are at the border.

    The nearest of a sample, for which at most ``pairs`` distances are computed, gives an upper bound of each distance.
    A grid over x and y finds the rows within that bound of any query. A margin of one cell and a fraction of the
    distance allows for rounding.
    """
    step = max(_SAMPLE, len(targets) * len(queries) // pairs)
    reach = cKDTree(targets[::step]).query(queries)[0]
    lowest, beyond, cells = [], [], np.zeros(len(targets), np.int64)
    for axis in (0, 1):
        along = np.ascontiguousarray(targets[:, axis])
        low, high = float(along.min()), float(along.max())
        if high - low > _LARGEST:
            along = along.astype(np.float64)
        cell = max(high - low, 1e-3) / _CELLS
        cells = cells * (_CELLS + 1) + ((along - low) / cell).astype(np.int64)
        centre, radius = (queries[:, axis] - low) / cell, reach / cell
        margin = 1 + 1e-15 * radius
        lowest.append(np.clip(np.floor(centre - radius - margin), 0, _CELLS).astype(np.int64))
        beyond.append(np.clip(np.floor(centre + radius + margin) + 1, 0, _CELLS + 1).astype(np.int64))
    change = np.zeros((_CELLS + 2, _CELLS + 2), np.int64)  # its cumulative sums count the squares that cover a cell
    for rows, columns, by in ((0, 0, 1), (0, 1, -1), (1, 0, -1), (1, 1, 1)):
        np.add.at(change, ((lowest, beyond)[rows][0], (lowest, beyond)[columns][1]), by)
    covered = change.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] > 0
    return np.flatnonzero(covered.ravel()[cells])


def _distinct(rows: Float[np.ndarray, "n 3"]) -> tuple[Int64[np.ndarray, "d"], Int64[np.ndarray, "n"]]:
    """(one row number per distinct row, index into these for every row). ``np.unique`` is several times slower."""
    order = np.lexsort(rows.T)
    ordered = rows[order]
    is_new = np.ones(len(rows), bool)
    is_new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    same = np.empty(len(rows), np.int64)
    same[order] = np.cumsum(is_new) - 1
    return order[is_new], same


def _moved_closer(queries: Float64[np.ndarray, "k 3"], tree: cKDTree) -> Float64[np.ndarray, "k 3"]:
    """Queries with the same nearest points, at most ``_FAR`` half diagonals away from the centre of the tree's box.

    Beyond that, the distances to all points round to the same number, and a search visits every leaf. A move along the
    ray to the centre changes the differences between distances by less than their rounding error.
    """
    centre = (tree.mins + tree.maxes) / 2
    most = max(_FAR * float(np.linalg.norm(tree.maxes - centre)), 1e-30)
    away = queries - centre
    distance = np.linalg.norm(away, axis=1, keepdims=True)
    return np.where(distance > most, centre + away * (most / np.maximum(distance, most)), queries)


def _visits_more_leaves(tree: cKDTree, queries: Float64[np.ndarray, "k 3"], most: int) -> bool:
    """Whether an exact search visits more than ``most`` leaves, estimated from some of the queries.

    A search visits each leaf whose cell is at most as far away as the nearest point.
    """
    probes = queries[:: 1 + len(queries) // _PROBES]
    nearest_squared = tree.query(probes)[0] ** 2
    allowed, visits = most * len(probes) / len(queries), 0
    # A node, and for each probe and axis the squared distance to the node's cell.
    stack = [(tree.tree, np.maximum(0, np.maximum(probes - tree.maxes, tree.mins - probes)) ** 2)]
    while stack and visits <= allowed:
        node, squares = stack.pop()
        visiting = int((squares.sum(axis=1) <= nearest_squared).sum())
        if not visiting or node.split_dim < 0:
            visits += visiting
            continue
        axis = node.split_dim
        above = probes[:, axis] - node.split
        for child, is_far in ((node.lesser, above > 0), (node.greater, above < 0)):
            child_squares = squares.copy()
            child_squares[is_far, axis] = above[is_far] ** 2
            stack.append((child, child_squares))
    return visits > allowed


def project(
    points: Float32[np.ndarray, "n 3"], camera: Camera
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"]]:
    """Project points (m, sensor frame) into the image: uv (pixels, u right, v down) and depth (m, optical axis).

    A point at or behind the camera plane (depth <= 0), or outside the lens, has uv = NaN.
    """
    homogeneous = points.astype(np.float64) @ camera.projection[:, :3].T + camera.projection[:, 3]
    depth = homogeneous[:, 2]
    uv = np.full((len(points), 2), np.nan)
    front = depth > 0
    with np.errstate(over="ignore"):  # infinite pixels are outside every image
        uv[front] = homogeneous[front, :2] / depth[front, None]
        if camera.lens is not None and camera.lens.is_distorted:
            K = camera.lens.K
            uv[front] = camera.lens.pixels((uv[front] - K[:2, 2]) @ np.linalg.inv(K[:2, :2]).T)
    return uv, depth


def pinhole(
    camera: Camera,
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """(K, R_velo_cam, centre) of a camera: its matrix is K @ R_velo_cam.T @ [I | -centre], with K[2, 2] = 1.

    K takes metres of the camera frame (x right, y down, z forward) to pixels; ``centre`` is in the sensor frame (m).
    """
    upper, rotation = rq(camera.projection[:, :3])
    sign = np.sign(np.diag(upper))  # a decomposition does not determine the signs; focal lengths are positive
    upper, rotation = upper * sign, sign[:, None] * rotation
    centre = -np.linalg.solve(camera.projection[:, :3], camera.projection[:, 3])
    return upper / upper[2, 2], rotation.T, centre


def in_image(uv: Float[np.ndarray, "n 2"], height: int, width: int) -> Bool[np.ndarray, "n"]:
    """Mask of the uv on a pixel; pixel (row, column) covers v in [row, row + 1), u in [column, column + 1)."""
    with np.errstate(invalid="ignore"):
        return (uv[:, 0] >= 0) & (uv[:, 0] < width) & (uv[:, 1] >= 0) & (uv[:, 1] < height)


def bounds(mask: Bool[np.ndarray, "h w"]) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around a mask with at least one pixel."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)

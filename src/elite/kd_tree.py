"""Nearest points by SciPy, where the native kernels are not available."""

import numpy as np
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue] (a compiled class without stubs)

from elite.shapes import Float, Float32, Float64, Int64

_SAMPLE = 32  # every 32nd candidate gives an upper bound of the distance to the nearest candidate
_CELLS = 64  # along x and along y, of the grid that finds the candidates within that distance
_SCAN = 2**17  # points of a scan: the time limit of smaller ones is the same
_PAIRS = 512  # distances per point: less than a second for a scan
_LEAVES = 64  # visited leaves of a k-d tree per point: about a second for a scan
_PROBES = 64  # queries for the estimate of visited leaves
_LARGEST = float(np.finfo(np.float32).max)
_FAR = 1e9  # distance, in half diagonals of the candidates, beyond which only the direction to them matters


def nearest_rows(targets: Float32[np.ndarray, "m 3"], queries: Float32[np.ndarray, "k 3"]) -> Int64[np.ndarray, "k"]:
    """The row of the target nearest to each query.

    The time is bounded for any input; for many queries almost equally far from very many targets, the result is the
    nearest of every k-th target.
    """
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

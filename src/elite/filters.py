"""Filters of images and histograms. Beyond its edges, an array is continued by its mirror image."""

import numpy as np

from elite.shapes import Float, Int64

_REACH = 4  # standard deviations


def smoothed(values: Float[np.ndarray, "..."], deviation: float) -> Float[np.ndarray, "..."]:
    """Convolve with a Gaussian of a standard deviation along every axis."""
    reach = int(_REACH * deviation + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    for axis in range(values.ndim):
        values = _correlated(values, weights / weights.sum(), axis)
    return values


def sobel(values: Float[np.ndarray, "h w"], axis: int) -> Float[np.ndarray, "h w"]:
    """Derivative along an axis, smoothed along the other one."""
    return _correlated(_correlated(values, np.array([-1.0, 0.0, 1.0]), axis), np.array([1.0, 2.0, 1.0]), 1 - axis)


def peaks(values: Float[np.ndarray, "n"], prominence: float) -> Int64[np.ndarray, "k"]:
    """Places of the maxima within an array, or the middle of flat ones, that rise so far above their higher foot.

    A foot is the lowest value between the maximum and a higher one, or the end of the array.
    """
    starts = np.flatnonzero(np.diff(values, prepend=values[:1] - 1) != 0)  # of runs of equal values
    levels, ends = values[starts], np.append(starts[1:], len(values)) - 1
    is_maximum = np.zeros(len(levels), bool)
    is_maximum[1:-1] = (levels[1:-1] > levels[:-2]) & (levels[1:-1] > levels[2:])
    places = (starts[is_maximum] + ends[is_maximum]) // 2
    return places[[_rise(values, place) >= prominence for place in places]] if len(places) else places


def _rise(values: Float[np.ndarray, "n"], place: int) -> float:
    """Height of a maximum above the higher one of its feet."""
    feet = []
    for side in (values[place::-1], values[place:]):
        higher = np.flatnonzero(side > values[place])
        feet.append(side[: higher[0] if len(higher) else None].min())
    return values[place] - max(feet)


def _correlated(
    values: Float[np.ndarray, "..."], weights: Float[np.ndarray, "k"], axis: int
) -> Float[np.ndarray, "..."]:
    """Sum of the neighbours along an axis, with weights."""
    reach, size = len(weights) // 2, values.shape[axis]
    padded = np.pad(values, [(reach, reach) if i == axis else (0, 0) for i in range(values.ndim)], "symmetric")
    shifted = (np.take(padded, np.arange(i, i + size), axis) for i in range(len(weights)))
    return sum(weight * part for weight, part in zip(weights, shifted, strict=True))  # type: ignore[return-value]

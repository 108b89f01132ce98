"""Tileable random fields for textures and uneven ground."""

from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter

from elite.shapes import Float

SIDE = 1024


@cache
def field(blur: float) -> Float[np.ndarray, "side side"]:
    """Noise smoothed over ``blur`` texels, mean 0, deviation 1. The field is constant."""
    rng = np.random.default_rng(int(blur * 1000))
    smooth = gaussian_filter(rng.standard_normal((SIDE, SIDE)), blur, mode="wrap")
    return ((smooth - smooth.mean()) / smooth.std()).astype(np.float32)


def grain(a: Float[np.ndarray, "n"], b: Float[np.ndarray, "n"], size: float, blur: float) -> Float[np.ndarray, "n"]:
    """Noise at (a, b) whose texels measure ``size``; nearest texel."""
    i = np.floor(a * (1 / size)).astype(np.int32) & (SIDE - 1)
    j = np.floor(b * (1 / size)).astype(np.int32) & (SIDE - 1)
    return field(blur)[i, j]


def smooth(
    a: Float[np.ndarray, "*n"] | float, b: Float[np.ndarray, "*n"] | float, size: float
) -> Float[np.ndarray, "*n"] | float:
    """Continuous noise with features of about 3 ``size``, interpolated between texels."""
    a, b = np.asarray(a) / size, np.asarray(b) / size
    i, j = np.floor(a).astype(int), np.floor(b).astype(int)
    fa, fb = a - i, b - j
    table, m = field(1.5), SIDE - 1
    top = table[i & m, j & m] * (1 - fb) + table[i & m, (j + 1) & m] * fb
    bottom = table[(i + 1) & m, j & m] * (1 - fb) + table[(i + 1) & m, (j + 1) & m] * fb
    return top * (1 - fa) + bottom * fa


def scatter(a: Float[np.ndarray, "n"], b: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """A repeatable random number 0..1 for each pair of whole numbers (a window, a paving stone)."""
    mixed = np.floor(a).astype(np.int64) * 73856093 ^ np.floor(b).astype(np.int64) * 19349663
    mixed = (mixed ^ (mixed >> 13)) * 1274126177
    return ((mixed ^ (mixed >> 16)) & 0xFFFF).astype(np.float32) / 65536

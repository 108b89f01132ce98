"""Rotations and filters against SciPy."""

import numpy as np
from scipy import ndimage
from scipy.signal import find_peaks
from scipy.spatial.transform import Rotation, Slerp

from elite import filters, rotations

RNG = np.random.default_rng(0)
QUATERNIONS = np.vstack([RNG.normal(size=(100, 4)), np.eye(4), -np.eye(4)])


def test_rotations_equal_scipy() -> None:
    expected = Rotation.from_quat(QUATERNIONS)
    matrices = rotations.from_quaternion(QUATERNIONS)
    np.testing.assert_allclose(matrices, expected.as_matrix(), atol=1e-14)
    found = np.array([rotations.to_quaternion(matrix) for matrix in matrices])
    np.testing.assert_allclose(np.abs((found * expected.as_quat()).sum(axis=1)), 1, atol=1e-14)
    vectors = np.vstack([np.zeros(3), [1e-9, 0, 0], RNG.normal(size=(100, 3))])
    turned = rotations.from_vector(vectors)
    np.testing.assert_allclose(turned, Rotation.from_rotvec(vectors).as_matrix(), atol=1e-14)
    back = np.array([rotations.to_vector(matrix) for matrix in turned])
    np.testing.assert_allclose(back, Rotation.from_matrix(turned).as_rotvec(), atol=1e-13)


def test_interpolated_rotations_equal_scipy() -> None:
    times, matrices = np.sort(RNG.uniform(0, 10, 20)), rotations.from_quaternion(QUATERNIONS[:20])
    at = np.array([times[0], times[-1], times[7], *RNG.uniform(times[0], times[-1], 40)])
    expected = Slerp(times, Rotation.from_matrix(matrices))(at).as_matrix()
    np.testing.assert_allclose(rotations.interpolated(at, times, matrices), expected, atol=1e-13)


def test_filters_equal_scipy() -> None:
    image = RNG.uniform(0, 255, (37, 53))
    np.testing.assert_allclose(filters.smoothed(image, 1.0), ndimage.gaussian_filter(image, 1.0), rtol=1e-12)
    for axis in (0, 1):
        np.testing.assert_allclose(filters.sobel(image, axis), ndimage.sobel(image, axis), atol=1e-9)


def test_peaks_equal_scipy() -> None:
    flat = np.repeat(RNG.integers(0, 5, 300), RNG.integers(1, 4, 300)).astype(float)
    for values in (flat, ndimage.gaussian_filter1d(flat, 1.5), np.zeros(5), np.array([1.0, 2, 1]), np.ones(1)):
        for prominence in (0.5, 1, 2, 4):
            expected, _ = find_peaks(values, prominence=prominence)
            np.testing.assert_array_equal(filters.peaks(values, prominence), expected)

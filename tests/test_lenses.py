"""Lens distortion, compared with OpenCV 4.13: cv2.projectPoints and cv2.fisheye.projectPoints gave the pixels here."""

import numpy as np
import pytest

from elite.errors import ConfigError
from elite.geometry import project
from elite.lenses import Lens, LensModel
from elite.types import Camera

K = ((2813.6, 0.0, 969.3), (0.0, 2808.3, 624.0), (0.0, 0.0, 1.0))
WIDE = ((420.0, 0.0, 960.0), (0.0, 421.0, 600.0), (0.0, 0.0, 1.0))
POINTS = [[-0.3, 0.2, 1], [0.34, -0.21, 1], [1.2, 0.8, 4], [0, 0, 2], [-2, 1, 10]]
WIDE_POINTS = [[-3, 1, 1], [0.34, -0.21, 1], [1.2, 0.8, 0.2], [0, 0, 2], [-2, 1, 10]]


def _camera(lens: Lens) -> Camera:
    return Camera("front", np.hstack([lens.K, np.zeros((3, 1))]), lens)


@pytest.mark.parametrize(
    ("model", "coefficients", "expected"),
    [
        (
            "pinhole",
            (-0.134313, -0.025905, 0.002181, 0.00084),
            [[140.324, 1176.6103], [1904.8202, 48.478], [1799.7413, 1177.1764], [969.3, 624.0], [410.4573, 903.2602]],
        ),
        (
            "pinhole",
            (-0.37, 0.2, 0.0011, -0.0007, -0.05),
            [[162.078, 1161.3655], [1872.8709, 67.2628], [1775.3009, 1160.8937], [969.3, 624.0], [416.3326, 900.0682]],
        ),
        (
            "pinhole",
            (3.1, 1.2, 0.0004, -0.0003, 0.05, 3.5, 2.4, 0.3),
            [[165.9093, 1158.6579], [1869.086, 69.393], [1772.1674, 1158.4557], [969.3, 624.0], [417.3988, 899.4659]],
        ),
        (
            "fisheye",
            (0.03, -0.012, 0.004, -0.0009),
            [[442.1704, 773.0208], [1096.4093, 515.5466], [1475.619, 944.5644], [960.0, 600.0], [877.2417, 641.4776]],
        ),
    ],
)
def test_project_through_a_lens_equals_opencv(
    model: LensModel, coefficients: tuple[float, ...], expected: list[list[float]]
) -> None:
    lens = Lens(model, WIDE if model == "fisheye" else K, coefficients)
    points = np.array(WIDE_POINTS if model == "fisheye" else POINTS, np.float32)
    uv, depth = project(points, _camera(lens))
    np.testing.assert_allclose(uv, expected, atol=2e-4)  # float32 points
    np.testing.assert_array_equal(depth, points[:, 2])


def test_project_without_distortion_equals_the_pinhole() -> None:
    points = np.array(POINTS, np.float32)
    camera = _camera(Lens("pinhole", K, (0.0, 0.0, 0.0, 0.0)))
    np.testing.assert_array_equal(project(points, camera)[0], project(points, Camera("", camera.projection))[0])


def test_project_outside_the_lens_is_nan_instead_of_folded_into_the_image() -> None:
    lens = Lens("pinhole", K, (-0.37, 0.0, 0.0, 0.0))
    far = np.array([[1.5 * lens.largest_radius, 0, 1], [0.9 * lens.largest_radius, 0, 1], [0, 0, -1]], np.float32)
    uv, _ = project(far, _camera(lens))
    assert np.isnan(uv).all(axis=1).tolist() == [True, False, True]
    radius = np.linspace(0, lens.largest_radius, 1000)
    assert (np.diff(lens.pixels(np.stack([radius, 0 * radius], 1))[:-1, 0]) > 0).all()


@pytest.mark.parametrize(
    ("model", "matrix", "coefficients", "found"),
    [
        ("fisheye", K, (0.1,), "expected 4 coefficients of a fisheye lens .*, found 1"),
        ("pinhole", K, (0.1, 0.1, 0.1), "expected 0 or 4 or 5 or 8 coefficients of a pinhole lens .*, found 3"),
        ("pinhole", (K[0], (1.0, 5.0, 2.0), K[2]), (), "K: expected"),
    ],
)
def test_lens_with_impossible_values_is_refused(model: LensModel, matrix, coefficients, found: str) -> None:
    with pytest.raises(ConfigError, match=found):
        Lens(model, matrix, coefficients)

"""Hiding part of a scan from the generator, so that the hidden points can judge what it made of the rest.

Whole laser rings are the honest test: a pixel that nobody saw lies between rings, rows away from the nearest seed. A
random point's neighbours on its own ring stay, so the nearest label is next door; that is told for information.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from elite.errors import ConfigError
from elite.geometry import point_pixel_pairs
from elite.labels import IGNORE
from elite.pseudo_labels.records import LabelledView


@dataclass(frozen=True)
class Holdout:
    """What to hide: ``rings`` keeps every ``amount``-th laser ring, ``points`` hides that share of the points."""

    kind: str
    amount: float

    def __str__(self) -> str:
        return f"{self.kind}:{self.amount:g}"


def parse_holdout(text: str) -> Holdout:
    """``rings:4`` or ``points:0.9``.

    Raises:
        ConfigError: it is neither; or fewer than 2 rings, or a share outside of (0, 1).
    """
    kind, _, number = text.strip().partition(":")
    try:
        rule = Holdout(kind, float(number))
    except ValueError:
        rule = Holdout("", 0.0)
    whole_rings = rule.kind == "rings" and rule.amount >= 2 and rule.amount.is_integer()
    if not (whole_rings or (rule.kind == "points" and 0 < rule.amount < 1)):
        raise ConfigError(
            f"'{text}' is no hold-out; expected rings:K, which keeps every K-th ring (K = 2, 3, ...), or points:SHARE, "
            "which hides that share of the points (0 < SHARE < 1)."
        )
    return rule


def ring_of_point(points: Float32[np.ndarray, "n 3"]) -> Int64[np.ndarray, "n"]:
    """Which laser ring measured each point, 0, 1, ... in the order of the file.

    SemanticKITTI keeps no ring number, but it stores ring after ring, each one turn anticlockwise from straight ahead
    (+x): a ring begins where the azimuth falls back by more than half a turn. Points in another order get numbers
    that mean nothing.
    """
    azimuth = np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi)
    begins = np.diff(azimuth, prepend=azimuth[:1]) < -np.pi
    return np.cumsum(begins, dtype=np.int64)


def hidden(points: Float32[np.ndarray, "n 3"], rule: Holdout, rng: np.random.Generator) -> Bool[np.ndarray, "n"]:
    """Which points the generator must not see. Rings are not left to chance: 0, K, 2K, ... stay."""
    if rule.kind == "rings":
        return ring_of_point(points) % int(rule.amount) != 0
    return rng.random(len(points)) < rule.amount


def hidden_pixels(
    view: LabelledView, hide: Bool[np.ndarray, "n"]
) -> tuple[Int64[np.ndarray, "judges 2"], UInt8[np.ndarray, "judges"]]:
    """(row, column) and train id of the hidden points that judge: labelled, and seen by the camera.

    Seen according to the whole scan, which tests occlusion better than what was left of it.
    """
    pairs = point_pixel_pairs(view.points, view.camera, *view.size)
    judges = hide[pairs.point] & (view.labels[pairs.point] != IGNORE)
    return pairs.pixel[judges], view.labels[pairs.point[judges]]

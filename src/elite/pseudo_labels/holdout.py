"""Held-out points: part of a scan is hidden from the procedure and used as ground truth.

Hidden laser rings are the realistic test: an unlabelled pixel lies between rings, several rows from the nearest seed.
Hidden random points are an easy test, because their neighbours on the same ring remain.
"""

from dataclasses import dataclass

import numpy as np

from elite.errors import ConfigError
from elite.occlusion import point_pixel_pairs
from elite.pseudo_labels.records import LabelledView
from elite.shapes import Bool, Int64, UInt8
from elite.taxonomy import IGNORE


@dataclass(frozen=True)
class Holdout:
    """Points to hide: ``rings`` keeps every ``amount``-th laser ring, ``points`` hides a share of the points."""

    kind: str
    amount: float

    def __str__(self) -> str:
        return f"{self.kind}:{self.amount:g}"


def parse_holdout(text: str) -> Holdout:
    """Parse ``rings:4`` or ``points:0.9``.

    Raises:
        ConfigError: another form, fewer than 2 rings, or a share outside (0, 1).
    """
    kind, _, number = text.strip().partition(":")
    try:
        rule = Holdout(kind, float(number))
    except ValueError:
        rule = Holdout("", 0.0)
    is_ring_rule = rule.kind == "rings" and rule.amount >= 2 and rule.amount.is_integer()
    if not (is_ring_rule or (rule.kind == "points" and 0 < rule.amount < 1)):
        raise ConfigError(
            f"--holdout: expected rings:K (keeps every K-th ring, K = 2, 3, ...) or points:SHARE (hides this share of "
            f"the points, 0 < SHARE < 1), found '{text}'. Give one of these, such as rings:2."
        )
    return rule


def hidden_points(ring: Int64[np.ndarray, "n"], rule: Holdout, rng: np.random.Generator) -> Bool[np.ndarray, "n"]:
    """Select the points to hide, from the ring of each. Rings 0, K, 2K, ... are kept; points are drawn at random."""
    if rule.kind == "rings":
        return ring % int(rule.amount) != 0
    return rng.random(len(ring)) < rule.amount


def hidden_pixels(
    view: LabelledView, hide: Bool[np.ndarray, "n"]
) -> tuple[Int64[np.ndarray, "m 2"], UInt8[np.ndarray, "m"]]:
    """Return (row, column) and train id of the hidden points that are labelled and in view.

    Occlusion is tested with the complete scan, which is more accurate than with the remaining points.
    """
    pairs = point_pixel_pairs(view.points, view.camera, *view.size, view.beams)
    scored = hide[pairs.point] & (view.labels[pairs.point] != IGNORE)
    return pairs.pixel[scored], view.labels[pairs.point[scored]]

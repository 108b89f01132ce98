"""A scan as input of a student: its points inside the volume, and those of the past scans that the student requires."""

from dataclasses import dataclass, replace

import numpy as np

from elite.errors import DataError
from elite.geometry import Volume, farther_than, in_volume
from elite.input_conversion import InputConversion, require_scan
from elite.shapes import Bool, Float32, Int64
from elite.types import PastPoints


@dataclass(frozen=True)
class ScanCrop:
    """A checked scan, and its points inside the student's volume; ``source`` is its name in messages.

    Points of past scans follow those of the scan. ``age`` (s) is None without past scans.
    """

    source: object
    all_points: Float32[np.ndarray, "n 3"]
    inside: Bool[np.ndarray, "n"]
    points: Float32[np.ndarray, "m 3"]
    remission: Float32[np.ndarray, "m"]
    age: Float32[np.ndarray, "m"] | None = None

    def with_past(self, past: PastPoints, conversion: InputConversion, volume: Volume) -> "ScanCrop":
        """Append the points of past scans inside the volume."""
        points = conversion.points(past.points)
        remission = conversion.remission(past.remission) if len(past) else past.remission
        inside = in_volume(points, volume)
        of_past = (values.compress(inside, axis=0) for values in (points, remission, past.age))
        own = (self.points, self.remission, np.zeros(len(self.points), np.float32))
        points, remission, age = (np.concatenate(pair) for pair in zip(own, of_past, strict=True))
        return replace(self, points=points, remission=remission, age=age)

    def beyond(self, radius: float | None, nearest_inside: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "k"]:
        """Find the points outside the volume that are farther (m) from their nearest neighbour inside.

        Args:
            radius: None = unlimited.
            nearest_inside: number of the neighbour of every point, among those inside.
        """
        outside = np.flatnonzero(~self.inside)
        if radius is None:
            return outside[:0]
        return outside[farther_than(radius, self.all_points[outside], self.points[nearest_inside[outside]])]

    def require_finite(self, values: Float32[np.ndarray, "m *channels"]) -> None:
        """Check the logits or probabilities of the points inside the volume.

        Raises:
            DataError: NaN or infinite values, since numbers of the scan overflowed in the network.
        """
        if not np.isfinite(values).all():
            low, high = self.remission.min(), self.remission.max()
            raise DataError(
                f"{self.source}: expected finite logits, found NaN or infinite ones (remission is between {low:g} and "
                f"{high:g}). Check the scan's fourth column (0 to 1 is usual) and its layout, then the checkpoint."
            )


def required_past(past: PastPoints | None, count: int, source: object) -> PastPoints | None:
    """Points of past scans for a student that takes ``count`` of them; None if it takes none.

    Raises:
        DataError: there are none, or they are not finite.
    """
    if count == 0:
        return None
    if past is None:
        raise DataError(
            f"{source}: expected the points of {count} past scans, which the student requires, found only the scan. "
            "Give a data set with poses, or in Python the scans of elite.ScanHistory."
        )
    require_scan(past.points, past.remission, f"past scans of {source}")
    return past

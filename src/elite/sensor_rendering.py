"""Measuring properties of a LiDAR that rendered scans imitate: mounting, beams, lost returns, and remission."""

from dataclasses import dataclass, field
from typing import Any

from elite.config import from_plain, plain
from elite.errors import ConfigError

Corner = tuple[float, float, float]


@dataclass(frozen=True)
class RemissionResponse:
    """Remission that a LiDAR reports. Levels of surfaces are those of ``elite.synthetic.world2.response``.

    Attributes:
        gain: factor of the levels of all surfaces.
        offset: added to them.
        street_spread: deviation of the level of paved ground between streets, as a share of it. The share of asphalt
            with remission 0 deviates by four times as much.
        beam_spread: deviation between the beams of a unit.
        noise: deviation of a return.
        incidence: exponent of the cosine of the angle of incidence.
        full_range: distance up to which the remission does not fall, in metres.
        fall: loss per metre beyond it.
        ground_fall: the loss on asphalt, as a multiple of that of other surfaces.
        zeros: factor of the share of surfaces that send no light back (car paint, glass, rubber), so that returns of
            them have remission 0.
        step: smallest difference between two values.
        max: largest value.

    Raises:
        ConfigError: impossible values.
    """

    gain: float = 1.0
    offset: float = 0.0
    street_spread: float = 0.12
    beam_spread: float = 0.0
    noise: float = 0.02
    incidence: float = 0.1
    full_range: float = 18.0
    fall: float = 0.0
    ground_fall: float = 1.0
    zeros: float = 1.0
    step: float = 0.01
    max: float = 1.0

    def __post_init__(self) -> None:
        spreads = ("street_spread", "beam_spread", "noise", "incidence", "full_range", "fall", "ground_fall", "zeros")
        _require_within(self, 0, 1000, *spreads)
        _require_within(self, 1e-6, 1000, "gain", "step", "max")
        _require_within(self, -1, 1, "offset")


@dataclass(frozen=True)
class SensorRendering:
    """A unit and its mounting, beyond what its files depend on.

    Attributes:
        elevations: of the beams where they leave the unit, in degrees, ascending. They differ from those of the points
            if ``beam_heights`` are not 0; none = those of the sensor.
        beam_heights: heights above the origin of the scan at which the beams leave the unit, in metres, from the lowest
            beam: one for all, or one for each of several blocks with the same number of beams.
        beam_scatter: deviation of a firing from its direction, in degrees.
        firings: number of a beam per turn; by default by the azimuth step.
        deskewed: whether the points of a turn are moved to the time at its middle.
        height_offsets: smallest and largest deviation of the mounting height of a drive, in metres.
        tilt: deviation of pitch and roll while driving, in degrees.
        bounce: deviation of the height while driving, in metres.
        body: boxes of the vehicle that shadow the beams: low and high corners (m, x forward, y left, z up, from the
            origin of the scan).
        nearest: smallest measured distance, in metres.
        range_noise: deviation of a distance, in metres.
        beam_bias: deviation of the mean error of the distance between beams, in metres.
        reach: distance at which half of the firings at a surface of 10 % reflectivity return, in metres; by default
            half of the range.
        loss: share of the firings that are lost at any distance.
        remission: reported remission.

    Raises:
        ConfigError: impossible values.
    """

    elevations: tuple[float, ...] = ()
    beam_heights: tuple[float, ...] = (0.0,)
    beam_scatter: float = 0.01
    firings: int | None = None
    deskewed: bool = True
    height_offsets: tuple[float, float] = (0.0, 0.0)
    tilt: float = 0.3
    bounce: float = 0.01
    body: tuple[tuple[Corner, Corner], ...] = ()
    nearest: float = 0.9
    range_noise: float = 0.015
    beam_bias: float = 0.0
    reach: float | None = None
    loss: float = 0.01
    remission: RemissionResponse = field(default_factory=RemissionResponse)

    def __post_init__(self) -> None:
        rises = all(a < b for a, b in zip(self.elevations, self.elevations[1:], strict=False))
        within = all(-90 < angle < 90 for angle in self.elevations)
        _require(rises and within, "elevations", "ascending values in (-90, 90) degrees", self.elevations)
        heights = self.beam_heights
        _require(len(heights) > 0 and max(map(abs, heights)) < 10, "beam_heights", "some in (-10, 10) m", heights)
        _require(self.firings is None or 16 <= self.firings <= 8192, "firings", "16 to 8192", self.firings)
        low, high = self.height_offsets
        _require(-10 < low <= high < 10, "height_offsets", "[smallest, largest]", self.height_offsets)
        _require(self.reach is None or 0 < self.reach < 1000, "reach", "a distance in (0, 1000) m", self.reach)
        _require_within(self, 0, 10, "beam_scatter", "tilt", "bounce", "range_noise", "beam_bias")
        _require_within(self, 0, 100, "nearest")
        _require_within(self, 0, 0.99, "loss")
        for box in self.body:
            _require(all(a < b for a, b in zip(*box, strict=True)), "body", "boxes [low, high]", box)

    def changed(self, values: dict[str, Any]) -> "SensorRendering":
        """Return the record with some plain values replaced.

        Raises:
            ConfigError: unknown names, or impossible values; its key begins with ``rendering``.
        """
        before, remission = plain(self), values.get("remission")
        if isinstance(remission, dict):
            values = {**values, "remission": before["remission"] | remission}
        return from_plain(SensorRendering, before | values, "rendering.")


def _require_within(record: Any, low: float, high: float, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        _require(low <= value <= high, name, f"a number from {low:g} to {high:g}", value)


def _require(condition: bool, name: str, expected: str, found: Any) -> None:
    if not condition:
        raise ConfigError(f"{name}: expected {expected}, found {found}. Change the value.", key=name)

"""Other units of a LiDAR, for students that shall hold on sensors that they have not seen."""

from dataclasses import replace

import numpy as np

from elite.sensor import SensorSpec
from elite.sensor_rendering import RemissionResponse, SensorRendering
from elite.shapes import Float

_HEIGHTS = 1.6, 2.1  # metres above the road
_LOWEST, _HIGHEST = (-30.0, -20.0), (2.0, 16.0)  # degrees
_DENSITY = 1.0, 2.0  # exponent of a fan that is densest at the horizon
_KEPT = 0.75  # least share of the beams
_GAIN = 0.12, 1.3


def other_unit(sensor: SensorSpec, rng: np.random.Generator) -> SensorSpec:
    """Draw a unit with another fan, mounting and response than those of ``sensor``, which has a rendering."""
    rendering = sensor.rendering
    assert rendering is not None
    fan = _other_fan(np.array(rendering.elevations or sensor.elevations), rng)
    firings = rendering.firings or round(360 / (sensor.azimuth_step or 0.2))
    return SensorSpec(
        sensor.name,
        elevations=tuple(fan.tolist()),
        azimuth_step=360 / round(firings * rng.uniform(0.8, 1.05)),
        height=rng.uniform(*_HEIGHTS),
        range=sensor.range,
        rendering=_other_rendering(rendering, rng),
    )


def _other_fan(fan: Float[np.ndarray, "beams"], rng: np.random.Generator) -> Float[np.ndarray, "kept"]:
    """Blend of the fan, scaled and shifted, and of one between other ends that is densest at the horizon."""
    low, high, power = rng.uniform(*_LOWEST), rng.uniform(*_HIGHEST), rng.uniform(*_DENSITY)
    roots = np.linspace(-((-low) ** (1 / power)), high ** (1 / power), len(fan))
    dense = np.sign(roots) * np.abs(roots) ** power
    own = fan * rng.uniform(0.85, 1.15) + rng.uniform(-1.5, 1.5)
    share = rng.choice([0.0, 1.0, rng.random()])
    kept = rng.random(len(fan)) < rng.uniform(_KEPT, 1.1)
    return (share * own + (1 - share) * dense)[kept | (np.arange(len(fan)) == 0)]


def _other_rendering(rendering: SensorRendering, rng: np.random.Generator) -> SensorRendering:
    body = tuple(box for box in rendering.body if rng.random() < 0.6)
    return replace(
        rendering,
        elevations=(),
        firings=None,
        beam_heights=tuple((np.array(rendering.beam_heights) * rng.random()).tolist()),
        height_offsets=(0.0, 0.0),
        body=body if rng.random() < 0.7 else (),
        range_noise=rng.uniform(0.005, 0.03),
        beam_bias=rng.uniform(0, 0.05),
        reach=None if rendering.reach is None else rendering.reach * rng.uniform(0.7, 1.4),
        loss=rng.uniform(0, 0.05),
        remission=_other_response(rendering.remission, rng),
    )


def _other_response(response: RemissionResponse, rng: np.random.Generator) -> RemissionResponse:
    gain = float(np.exp(rng.uniform(*np.log(_GAIN))))
    return replace(
        response,
        gain=response.gain * gain,
        offset=rng.uniform(-0.05, 0.1) * gain,
        beam_spread=rng.uniform(0, 0.07) * gain,
        noise=rng.uniform(0.01, 0.05) * gain,
        incidence=rng.uniform(0, 0.5),
        full_range=rng.uniform(5, 30),
        fall=rng.uniform(0, 0.012) * gain,
        ground_fall=rng.uniform(1, 1.8),
        zeros=rng.uniform(0, 1.3),
        step=rng.choice([1 / 255, 0.01]),
    )

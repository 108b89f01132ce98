"""Colours of surfaces: one function per material, on arrays of camera hits.

Each takes texture coordinates uv (n, 2), the object's own linear colour (n, 3) and the pixel's footprint on
the surface (n,) in metres, and returns linear albedo (n, 3). Detail finer than the footprint fades out, which
spares far surfaces from aliasing.
"""

from collections.abc import Callable

import numpy as np

from elite.shapes import Float, Int
from elite.synthetic.materials import Material, coach_pane, window
from elite.synthetic.noise import grain, scatter

Look = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def albedo(
    material: Int[np.ndarray, "n"],
    uv: Float[np.ndarray, "n 2"],
    color: Float[np.ndarray, "n 3"],
    footprint: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n 3"]:
    """Linear albedo of every hit."""
    result = np.array(color, np.float32)
    order = np.argsort(material, kind="stable")
    bounds = np.searchsorted(material[order], np.arange(len(Material) + 1))
    for kind, look in _LOOKS.items():
        rows = order[bounds[kind] : bounds[kind + 1]]
        if len(rows):
            result[rows] = look(uv[rows], color[rows], footprint[rows])
    return np.clip(result, 0.004, 0.95)


def _visible(size: float, footprint: np.ndarray) -> np.ndarray:
    """Share (0..1) of the contrast of details of ``size`` metres that a pixel resolves."""
    return np.clip(1.6 * size / np.maximum(footprint, 1e-4) - 0.3, 0, 1)


def _shade(color: np.ndarray, *factors: np.ndarray) -> np.ndarray:
    """``color`` times 1 + the sum of the factors."""
    return color * np.maximum(1 + sum(factors), 0.05)[:, None]


def _blend(below: np.ndarray, above: tuple[float, float, float] | np.ndarray, share: np.ndarray) -> np.ndarray:
    return below + (np.asarray(above, np.float32) - below) * np.asarray(share, np.float32)[:, None]


def _line(position: np.ndarray, period: float, width: float, footprint: np.ndarray) -> np.ndarray:
    """Share 0..1 of the pixel covered by lines of ``width`` that repeat every ``period``."""
    away = np.abs(position - period * np.round(position / period))
    soft = np.maximum(footprint, 0.004)
    return np.clip((width / 2 - away) / soft + 0.5, 0, 1) * np.minimum(1, width / soft)


def _asphalt(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    u, v = uv.T
    speckle = 0.20 * grain(u, v, 0.012, 0.7) * _visible(0.02, footprint)
    wear = 0.06 * grain(u * 0.3, v, 0.05, 6.0) + 0.05 * grain(u, v, 0.2, 8.0)
    crack = np.abs(grain(u, v, 0.02, 12.0) + 0.6 * grain(u, v, 0.11, 8.0))
    crack = (crack < 0.035) & (grain(u, v, 0.3, 9.0) > 0.5)
    patch = (grain(u, v, 0.5, 5.0) > 1.7) * -0.18
    return _shade(color, speckle, wear, patch, -0.5 * crack * _visible(0.03, footprint))


def _lane(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    u, v = uv.T
    dash = np.clip((2.0 - np.abs(u - 9 * np.round(u / 9))) / np.maximum(footprint, 0.02), 0, 1)
    paint = _line(v, 1e9, 0.14, footprint) * dash
    edge = np.abs(np.abs(v) - 3.75)
    paint = np.maximum(paint, np.clip((0.06 - edge) / np.maximum(footprint, 0.004) + 0.5, 0, 1))
    return _painted_line(uv, _asphalt(uv, color, footprint), paint)


def _painted_line(uv: np.ndarray, ground: np.ndarray, share: np.ndarray) -> np.ndarray:
    worn = np.clip(0.85 + 0.25 * grain(uv[:, 0], uv[:, 1], 0.02, 2.0), 0.2, 1)
    return _blend(ground, (0.62, 0.62, 0.60), share * worn)


def _zebra(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    return _painted_line(uv, _asphalt(uv, color, footprint), _line(uv[:, 1] + 0.25, 1.0, 0.5, footprint))


def _paving(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray, length: float, width: float) -> np.ndarray:
    """Stones of length x width in running bond: every stone its own tone, dark joints between."""
    u, v = uv.T
    row = np.floor(v / width)
    shifted = u + 0.5 * length * (row % 2)
    tone = 0.22 * (scatter(shifted / length, row) - 0.5) * _visible(width, footprint)
    joint = np.maximum(_line(shifted, length, 0.012, footprint), _line(v, width, 0.012, footprint))
    dirt = 0.10 * grain(u, v, 0.1, 5.0) + 0.08 * grain(u, v, 0.01, 1.0) * _visible(0.02, footprint)
    return _shade(color, tone, dirt, -0.45 * joint)


def _bay(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    stones = _paving(uv, color, footprint, 0.24, 0.12)
    return _painted_line(uv, stones, _line(uv[:, 0], 6.0, 0.12, footprint))


def _slabs(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    return _paving(uv, color, footprint, 0.6, 0.4)


def _kerb(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    return _shade(color, -0.5 * _line(uv[:, 0], 1.0, 0.015, footprint), 0.1 * grain(uv[:, 0], uv[:, 1], 0.02, 2.0))


def _cobble(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    return _paving(uv, color, footprint, 0.15, 0.15)


def _ballast(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    u, v = uv.T
    stones = 0.45 * grain(u, v, 0.03, 0.8) * _visible(0.05, footprint) + 0.12 * grain(u, v, 0.06, 4.0)
    return _shade(color, stones)


def _grass(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    u, v = uv.T
    blades = 0.28 * grain(u, v, 0.015, 0.8) * _visible(0.03, footprint) + 0.15 * grain(u, v, 0.05, 2.0)
    dry = np.clip(0.25 + 0.3 * grain(u, v, 0.15, 6.0), 0, 0.7)
    return _shade(_blend(color, (0.19, 0.16, 0.06), dry), blades)


def _wall(uv: np.ndarray, ground: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Windows in a wall of colour ``ground``."""
    pane, frame = window(uv)
    storey = uv[:, 1]
    base = np.clip((0.22 - storey) * 40, 0, 1) * 0.35
    cornice = _line(storey, 1.0, 0.02, footprint * 0.3) * 0.25
    wall = _blend(_shade(ground, -cornice), ground * 0.55, base)
    wall = _blend(wall, (0.70, 0.69, 0.66), frame)
    lit = scatter(uv[:, 0] + 37, uv[:, 1] + 11)
    door = frame & ~pane & (storey < 0.8) & (scatter(uv[:, 0], uv[:, 1]) < 0.3) & (storey > 0)
    panel = np.where(np.abs(uv[:, 0] - np.floor(uv[:, 0]) - 0.5) < 0.19, 0.05, 0.09)[:, None]
    wall = _blend(wall, panel * (np.array([0.5, 1.0, 0.8]) + lit[:, None] * np.array([1.6, -0.4, -0.4])), door)
    glass = np.stack([0.02 + 0.05 * lit, 0.025 + 0.055 * lit, 0.035 + 0.05 * lit], 1)
    curtain = (lit > 0.55) & (np.abs(uv[:, 0] - np.floor(uv[:, 0]) - 0.5) > 0.10)
    return _blend(_blend(wall, glass, pane), (0.35, 0.34, 0.31), pane & curtain)


def _plaster(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    return _wall(uv, _blind(uv * 3, color, footprint), footprint)


def _brick(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    return _wall(uv, _paving(uv * 2.8, color, footprint, 0.25, 0.08), footprint)


def _marking(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    return _shade(color, 0.15 * grain(uv[:, 0], uv[:, 1], 0.02, 2.0), 0.1 * grain(uv[:, 0], uv[:, 1], 0.2, 4.0))


def _masonry(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    return _paving(uv, color, footprint, 0.25, 0.08)


def _blind(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    u, v = uv.T
    streaks = 0.05 * grain(u, v * 0.15, 0.08, 3.0) + 0.04 * grain(u, v, 0.3, 5.0)
    return _shade(color, streaks, 0.04 * grain(u, v, 0.02, 1.0) * _visible(0.04, footprint))


def _tiles(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    return _paving(uv[:, ::-1], color, footprint, 0.35, 0.25)


def _leaf(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    toned = _shade(color, 0.9 * (uv[:, 0] - 0.5))
    return _blend(toned, toned * (1.5, 1.15, 0.6), 0.5 * uv[:, 1])


def _bark(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    return _shade(color, 0.3 * grain(uv[:, 0], uv[:, 1] * 0.2, 0.006, 3.0))


def _wood(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    return _shade(color, 0.14 * grain(uv[:, 0], uv[:, 1] * 0.1, 0.02, 1.5))


def _stone(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    return _paving(uv, color, footprint, 0.45, 0.22)


def _coach(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    stripe = (uv[:, 1] > 0.95) & (uv[:, 1] < 1.15)
    return _blend(_blend(color, (0.75, 0.75, 0.72), stripe), (0.015, 0.018, 0.02), coach_pane(uv))


def _sign(uv: np.ndarray, color: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """A rim around white in front (or a white symbol on blue), bare metal behind."""
    u, front = uv.T
    blue = color[:, 2:] > color[:, :1]
    inside = np.where(blue, color, 0.75)
    symbol = np.where(blue, 0.75, 0.03)
    face = np.where((u > 0.76)[:, None], np.where(blue, 0.7, color), np.where((u < 0.3)[:, None], symbol, inside))
    return np.where(front[:, None] > 0.5, face, 0.30)


_LOOKS: dict[Material, Look] = {
    Material.ASPHALT: _asphalt,
    Material.LANE: _lane,
    Material.ZEBRA: _zebra,
    Material.BAY: _bay,
    Material.SLABS: _slabs,
    Material.KERB: _kerb,
    Material.COBBLE: _cobble,
    Material.BALLAST: _ballast,
    Material.GRASS: _grass,
    Material.PLASTER: _plaster,
    Material.BRICK: _brick,
    Material.BLIND: _blind,
    Material.TILES: _tiles,
    Material.LEAF: _leaf,
    Material.BARK: _bark,
    Material.WOOD: _wood,
    Material.STONE: _stone,
    Material.COACH: _coach,
    Material.SIGN: _sign,
    Material.MASONRY: _masonry,
    Material.MARKING: _marking,
}

"""Light on surfaces: sun with shadows, sky light, reflections, haze, and the camera's response."""

import numpy as np

from elite.shapes import Bool, Float, UInt8
from elite.synthetic.materials import Material, is_pane
from elite.synthetic.noise import field, smooth
from elite.synthetic.raycast import Caster, Hits
from elite.synthetic.textures import albedo
from elite.synthetic.world import Light, World

_EXPOSURE = 0.62
_GLOSS = np.zeros(len(Material), np.float32)
_GLOSS[[Material.PAINTED, Material.GLASS, Material.COACH, Material.METAL, Material.LAMP]] = 0.06, 0.12, 0.06, 0.10, 0.1


def radiance(
    world: World, caster: Caster, hits: Hits, rays: Float[np.ndarray, "n 3"], pixel_angle: float
) -> Float[np.ndarray, "n 3"]:
    """Linear colour that arrives along each ray."""
    color = np.empty((len(rays), 3), np.float32)
    seen = hits.paint >= 0
    color[~seen] = sky(world.light, rays[~seen])
    rows = np.flatnonzero(seen)
    if len(rows):
        color[rows] = _surface(world, caster, _take(hits, rows), rays[rows], pixel_angle)
    return color


def _take(hits: Hits, rows: np.ndarray) -> Hits:
    return Hits(
        hits.distance[rows], hits.position[rows], hits.normal[rows], hits.uv[rows], hits.paint[rows], hits.cosine[rows]
    )


def _surface(
    world: World, caster: Caster, hits: Hits, rays: Float[np.ndarray, "n 3"], pixel_angle: float
) -> Float[np.ndarray, "n 3"]:
    light, paints = world.light, world.paints
    material = paints.material[hits.paint]
    footprint = hits.distance * pixel_angle / np.sqrt(np.maximum(hits.cosine, 0.02))
    base = albedo(material, hits.uv, paints.color[hits.paint], footprint)
    color = base * _light_on(light, caster, hits, material == Material.LEAF)
    color = _add_reflection(light, hits, rays, material, color)
    haze = np.exp(-hits.distance / light.haze)[:, None]
    return color * haze + light.horizon.astype(np.float32) * (1 - haze)


def _light_on(light: Light, caster: Caster, hits: Hits, leaf: Bool[np.ndarray, "n"]) -> Float[np.ndarray, "n 3"]:
    """Sun where nothing blocks it, and light from sky and ground. Leaves let light through."""
    sun = light.sun.astype(np.float32)
    facing = hits.normal @ sun
    facing = np.where(leaf, 0.25 + 0.55 * np.abs(facing), np.maximum(facing, 0))
    lit = np.flatnonzero(facing > 0.01)
    start = hits.position[lit] + hits.normal[lit] * np.float32(0.012) + sun * np.float32(0.015)
    shaded = caster.blocked(start, np.broadcast_to(sun, start.shape), 150.0)
    facing[lit[shaded]] *= np.where(leaf[lit[shaded]], 0.25, 0.0)
    up = (0.5 + 0.5 * hits.normal[:, 2])[:, None]
    sky_light = (0.45 * light.zenith + 0.30 * light.horizon).astype(np.float32)
    bounce = np.float32(0.16) * light.sun_color.astype(np.float32) * 0.5
    ambient = sky_light * up + bounce * (1 - up)
    return facing[:, None] * light.sun_color.astype(np.float32) + ambient


def _add_reflection(
    light: Light, hits: Hits, rays: Float[np.ndarray, "n 3"], material: np.ndarray, color: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"]:
    """Sky, or a dark street, mirrored in paint and glass; more at grazing angles (Schlick)."""
    gloss = np.where(is_pane(material, hits.uv), _GLOSS[Material.GLASS], _GLOSS[material])
    rows = np.flatnonzero(gloss > 0)
    normal, ray = hits.normal[rows], rays[rows]
    mirrored = ray - 2 * np.einsum("ij,ij->i", ray, normal)[:, None] * normal
    street = np.array([0.10, 0.10, 0.09], np.float32)
    above = np.clip(mirrored[:, 2:] * 6 - 0.6 + 0.5, 0, 1)
    seen = sky(light, mirrored) * above + street * (1 - above)
    share = gloss[rows] + (1 - gloss[rows]) * (1 - np.clip(hits.cosine[rows], 0, 1)) ** 5 * 0.7
    color[rows] += (seen - color[rows]) * share[:, None]
    glint = np.clip(mirrored @ light.sun.astype(np.float32), 0, 1) ** 200
    color[rows] += (glint * gloss[rows] * 12)[:, None] * light.sun_color.astype(np.float32)
    return color


def sky(light: Light, rays: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Colour of the sky along unit rays: a gradient, clouds on a far plane, a glow around the sun."""
    up = np.maximum(rays[:, 2], 0.0)
    height = (1 - np.exp(-4.5 * up))[:, None]
    color = light.horizon * (1 - height) + light.zenith * height
    plane = 2.0 / (up + 0.12)
    a, b = rays[:, 0] * plane + light.sky_offset[0], rays[:, 1] * plane + light.sky_offset[1]
    density = 0.8 * smooth(a, b, 0.55) + 0.45 * smooth(b, a, 0.17) + 0.2 * smooth(a, b, 0.06)
    cover = (np.clip(density - 0.5 + light.clouds * 0.5, 0, 1) * np.clip(up * 9, 0, 1) * 0.85)[:, None]
    color = color + (np.array([0.95, 0.95, 0.97]) - color) * cover
    near_sun = np.clip(rays @ light.sun.astype(np.float32), 0, 1)
    return (color + (0.25 * near_sun**12 + 1.5 * near_sun**600)[:, None] * light.sun_color).astype(np.float32)


def develop(color: Float[np.ndarray, "h w 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Linear light to an 8-bit picture: exposure, film curve, gamma, sensor noise."""
    x = color * np.float32(_EXPOSURE)
    toned = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)  # the usual filmic curve: soft shoulder, firm toe
    picture = 255 * np.clip(toned, 0, 1) ** np.float32(1 / 2.2)
    a, b, c = rng.integers(0, 1 << 10, 3)
    noise = np.roll(field(0.4), (a, b), (0, 1))
    h, w = color.shape[:2]
    tiles = np.tile(noise, (h // 1024 + 1, w // 1024 + 1))[:h, :w]
    chroma = np.roll(tiles, c, axis=1)
    picture += np.stack([1.5 * tiles + chroma, 1.5 * tiles, 1.5 * tiles - chroma], axis=2)
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)

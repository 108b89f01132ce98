"""Static objects next to the road: houses, trees, hedges, fences, poles, signs. x forward, standing on z = 0."""

import numpy as np

from elite.shapes import Float
from elite.synthetic.classes import raw_id
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part, box, ellipsoid, leaves, merged, moved, plate, pose, triangles, tube

Color = tuple[float, float, float]
_STOREY = 2.9
_BURIED = 0.6  # walls and trunks reach below the ground, which is not flat


def tinted(color: Color, rng: np.random.Generator, spread: float = 0.15) -> Color:
    """Vary the brightness and, slightly, the hue of a colour at random."""
    r, g, b = np.clip(np.asarray(color) * rng.uniform(1 - spread, 1 + spread) * rng.uniform(0.95, 1.05, 3), 0.005, 0.9)
    return float(r), float(g), float(b)


def building(
    width: float, depth: float, storeys: int, wall: Color, roof: Color, rng: np.random.Generator
) -> list[Part]:
    """A house whose front lies in the plane x = 0 and faces -x: walls with windows, a pitched or flat roof, details."""
    label, height = raw_id("building"), storeys * _STOREY
    reddish = wall[0] > 1.6 * wall[2]
    material = Material.BRICK if reddish and rng.random() < 0.7 else Material.PLASTER
    bays = max(1, round(width / rng.uniform(2.2, 3.2)))
    front = [
        _wall((0, width / 2), (0, -width / 2), height, bays, storeys),
        _wall((depth, -width / 2), (depth, width / 2), height, bays, storeys),
    ]
    ends = [
        _wall((0, -width / 2), (depth, -width / 2), height, max(1, round(depth / 3)), storeys),
        _wall((depth, width / 2), (0, width / 2), height, max(1, round(depth / 3)), storeys),
    ]
    gain = float(rng.lognormal(0, 0.2))
    trim = Paint(Material.BLIND, label, tinted((0.5, 0.48, 0.45), rng), gain)
    walls = Paint(material, label, tinted(wall, rng, 0.1), gain)
    parts = [Part(merged(front + ends), walls), Part(_front_details(width, bays, storeys, rng), trim)]
    rise = rng.uniform(1.8, 3.4) if rng.random() < 0.75 else 0.0
    if rise:
        parts.append(Part(_roof(width, depth, height, rise), Paint(Material.TILES, label, tinted(roof, rng))))
        parts.append(Part(_gables(width, depth, height, rise), Paint(Material.BLIND, label, walls.color, gain)))
    else:
        lid = box((depth + 0.5, width + 0.5, 0.35), (depth / 2, 0, height + 0.15))
        parts.append(Part(lid, trim))
    return parts


def _wall(start: tuple[float, float], end: tuple[float, float], height: float, bays: int, storeys: int) -> Mesh:
    """An upright wall; texture u counts window bays and v storeys."""
    (x0, y0), (x1, y1) = start, end
    low = -_BURIED
    a, b, c, d = np.array([(x0, y0, low), (x1, y1, low), (x1, y1, height), (x0, y0, height)], float)
    foot = low / _STOREY
    uv = np.array([[(0, foot), (bays, foot), (bays, storeys)], [(0, foot), (bays, storeys), (0, storeys)]], float)
    return triangles(np.array([(a, b, c), (a, c, d)]), uv=uv)


def _front_details(width: float, bays: int, storeys: int, rng: np.random.Generator) -> Mesh:
    """Sills below the windows, a plinth, and balconies on some bays: the relief of a facade."""
    pitch = width / bays
    pieces = [box((0.16, width + 0.1, 0.45), (0.02, 0, 0.1))]
    for bay in range(bays):
        y = width / 2 - (bay + 0.5) * pitch
        for storey in range(storeys):
            z = (storey + 0.28) * _STOREY
            pieces.append(box((0.24, 0.52 * pitch, 0.08), (-0.05, y, z)))
            if storey and rng.random() < 0.12:
                pieces.append(box((1.1, 0.9 * pitch, 0.15), (-0.55, y, storey * _STOREY)))
                pieces.append(box((0.06, 0.9 * pitch, 0.9), (-1.07, y, storey * _STOREY + 0.5)))
    return merged(pieces)


def _roof(width: float, depth: float, height: float, rise: float) -> Mesh:
    """Two slopes that overhang the walls, ridge along the street."""
    half, over, drop = width / 2 + 0.3, 0.5, 0.5 * rise / (depth / 2)
    ridge = np.array([(depth / 2, half, height + rise), (depth / 2, -half, height + rise)])
    eaves_front = np.array([(-over, half, height - drop), (-over, -half, height - drop)])
    eaves_back = np.array([(depth + over, half, height - drop), (depth + over, -half, height - drop)])
    slopes = []
    for eaves in (eaves_front, eaves_back):
        run = float(np.linalg.norm(ridge[0] - eaves[0]))
        uv = np.array([[(0, 0), (2 * half, 0), (2 * half, run)], [(0, 0), (2 * half, run), (0, run)]])
        corners = np.array([(eaves[0], eaves[1], ridge[1]), (eaves[0], ridge[1], ridge[0])])
        slopes.append(triangles(corners, uv=uv))
    return merged(slopes)


def _gables(width: float, depth: float, height: float, rise: float) -> Mesh:
    ends = [[(0, y, height), (depth, y, height), (depth / 2, y, height + rise)] for y in (-width / 2, width / 2)]
    return triangles(np.array(ends, float))


def tree(rng: np.random.Generator, leaf: Color) -> list[Part]:
    """A trunk that forks into branches, and a crown of loose leaves in several clumps."""
    height, radius = rng.uniform(5.0, 9.0), rng.uniform(0.11, 0.24)
    fork = np.array([*rng.normal(0, 0.12, 2), height * rng.uniform(0.30, 0.42)])
    wood = [
        tube((0, 0, -_BURIED), (0, 0, 0.25), radius * 1.25, radius * 1.1),
        tube((0, 0, 0.2), fork, radius * 1.1, radius * 0.8),
    ]
    clumps = []
    for turn in np.arange(6) * (2 * np.pi / 6) + rng.uniform(0, 6):
        reach = rng.uniform(0.12, 0.24) * height
        tip = fork + np.array([reach * np.cos(turn), reach * np.sin(turn), height * rng.uniform(0.12, 0.40)])
        wood.append(tube(fork - (0, 0, 0.1), tip, radius * 0.45, radius * 0.12, sections=5))
        clumps.append(tip)
    clumps.append(fork + np.array([0, 0, height * 0.42]))
    size = height * rng.uniform(0.13, 0.17)
    crown = np.concatenate(
        [_clump(c, np.array([size, size, 0.8 * size]) * rng.uniform(0.9, 1.3), 560, rng) for c in clumps]
    )
    gain = float(rng.lognormal(0, 0.15))
    return [
        Part(merged(wood), Paint(Material.BARK, raw_id("trunk"), tinted((0.13, 0.10, 0.07), rng, 0.3), gain)),
        Part(leaves(crown, 0.115, rng), Paint(Material.LEAF, raw_id("vegetation"), tinted(leaf, rng, 0.25), gain)),
    ]


def _clump(
    center: Float[np.ndarray, "3"], radii: Float[np.ndarray, "3"], count: int, rng: np.random.Generator
) -> Float[np.ndarray, "n 3"]:
    """Points in an ellipsoid, denser towards its skin."""
    out = rng.normal(size=(count, 3))
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    return center + out * radii * rng.uniform(0.15, 1, (count, 1)) ** 0.5


def conifer(rng: np.random.Generator, leaf: Color) -> list[Part]:
    """A cone of needles around a straight trunk."""
    height, spread = rng.uniform(5.0, 10.0), rng.uniform(1.2, 2.0)
    up = 1 - np.sqrt(rng.uniform(0, 1, 1800))
    turn, out = rng.uniform(0, 2 * np.pi, 1800), np.sqrt(rng.uniform(0.2, 1, 1800)) * spread * (1 - up)
    tips = np.column_stack(
        [out * np.cos(turn), out * np.sin(turn), 1.0 + up * (height - 1.0) + rng.normal(0, 0.1, 1800)]
    )
    dark = tinted((leaf[0] * 0.6, leaf[1] * 0.7, leaf[2] * 0.9), rng)
    return [
        Part(
            tube((0, 0, -_BURIED), (0, 0, height * 0.9), 0.16, 0.03),
            Paint(Material.BARK, raw_id("trunk"), (0.10, 0.07, 0.05)),
        ),
        Part(leaves(tips, 0.15, rng), Paint(Material.LEAF, raw_id("vegetation"), dark, 0.9)),
    ]


def bush(rng: np.random.Generator, leaf: Color) -> list[Part]:
    size = rng.uniform(0.5, 1.2)
    centers = _clump(np.array([0, 0, 0.7 * size]), np.array([size, size, 0.8 * size]), 600, rng)
    centers[:, 2] = np.abs(centers[:, 2])
    return [Part(leaves(centers, 0.09, rng), Paint(Material.LEAF, raw_id("vegetation"), tinted(leaf, rng, 0.25)))]


def hedge(length: float, rng: np.random.Generator, leaf: Color) -> list[Part]:
    """A clipped hedge along y: a dark core in a coat of leaves."""
    height, thick = rng.uniform(0.9, 1.7), rng.uniform(0.5, 0.8)
    count = int(200 * length * height)
    centers = rng.uniform((-thick / 2, -length / 2, 0), (thick / 2, length / 2, height), (count, 3))
    pushed = rng.choice(4, count, p=(0.45, 0.25, 0.08, 0.22))  # most leaves sit in the skin: flanks, top, ends
    centers[pushed == 0, 0] = np.where(rng.random((pushed == 0).sum()) < 0.5, -1, 1) * thick / 2
    centers[pushed == 1, 2] = height
    centers[pushed == 2, 1] = np.where(rng.random((pushed == 2).sum()) < 0.5, -1, 1) * length / 2
    centers += rng.normal(0, 0.05, centers.shape)
    core = box((0.6 * thick, length - 0.35, height - 0.1), (0, 0, height / 2 - 0.15))
    label, color = raw_id("vegetation"), tinted(leaf, rng, 0.2)
    dark = (color[0] * 0.3, color[1] * 0.3, color[2] * 0.3)
    return [
        Part(leaves(centers, 0.085, rng), Paint(Material.LEAF, label, color)),
        Part(core, Paint(Material.BARK, label, dark)),
    ]


def fence(length: float, rng: np.random.Generator) -> list[Part]:
    """A fence along y: wooden slats, iron railings, or a garden wall with piers."""
    label, kind = raw_id("fence"), rng.choice(["slats", "railings", "wall"], p=(0.5, 0.3, 0.2))
    height = rng.uniform(1.0, 1.6)
    if kind == "wall":
        piers = [
            box((0.36, 0.36, height + 0.5), (0, y, (height + 0.2) / 2 - 0.1))
            for y in np.arange(-length / 2, length / 2 + 0.1, 3.0)
        ]
        low = box((0.2, length, 0.7), (0, 0, 0.25))
        rails = _slats(length, 0.045, 0.16, height, 0.6)
        stone = Paint(Material.STONE, label, tinted((0.36, 0.32, 0.27), rng))
        return [Part(merged([*piers, low]), stone), Part(rails, Paint(Material.ZINC, label, (0.05, 0.06, 0.06), 0.7))]
    slat, gap = (0.11, 0.17) if kind == "slats" else (0.035, 0.13)
    posts = [
        box((0.1, 0.1, height + 0.4), (0.06, y, height / 2 - 0.1))
        for y in np.arange(-length / 2, length / 2 + 0.1, 2.0)
    ]
    beams = [box((0.05, length, 0.08), (0.03, 0, z)) for z in (0.3, height - 0.2)]
    if kind == "slats":
        paint = Paint(
            Material.WOOD,
            label,
            tinted(((0.30, 0.20, 0.11), (0.5, 0.5, 0.47), (0.14, 0.09, 0.05))[rng.integers(3)], rng),
        )
    else:
        paint = Paint(Material.ZINC, label, tinted((0.05, 0.09, 0.06), rng))
    return [Part(merged([_slats(length, slat, gap, height, 0.05), *posts, *beams]), paint)]


def _slats(length: float, width: float, pitch: float, height: float, foot: float) -> Mesh:
    """Upright boards every ``pitch`` metres along y."""
    one = box((0.025, width, height - foot), (0, 0, (height + foot) / 2))
    shifts = np.arange(-length / 2 + pitch / 2, length / 2, pitch)
    corners = (one.corners + np.array([0, 1, 0]) * shifts[:, None, None, None]).reshape(-1, 3, 3)
    return triangles(corners, normals=np.tile(one.normals, (len(shifts), 1, 1)))


def lamp_post(rng: np.random.Generator) -> list[Part]:
    """A street lamp with its arm over the road (towards +x)."""
    height, arm = rng.uniform(5.5, 8.0), rng.uniform(0.6, 1.8)
    shaft = [tube((0, 0, -0.3), (0, 0, 1.0), 0.09, 0.09), tube((0, 0, 1.0), (0, 0, height), 0.07, 0.045)]
    head = [
        tube((0, 0, height - 0.05), (arm, 0, height + 0.15), 0.035),
        box((0.6, 0.22, 0.12), (arm + 0.2, 0, height + 0.15)),
    ]
    paint = Paint(Material.ZINC, raw_id("pole"), tinted((0.28, 0.30, 0.29), rng, 0.4), float(rng.lognormal(0, 0.3)))
    return [Part(merged(shaft + head), paint)]


def bollard(rng: np.random.Generator) -> list[Part]:
    """A knee-high post that keeps cars off; labelled as a pole."""
    height = rng.uniform(0.8, 1.1)
    post = merged([tube((0, 0, -0.2), (0, 0, height), 0.06), ellipsoid((0, 0, height), (0.07, 0.07, 0.05))])
    return [Part(post, Paint(Material.ZINC, raw_id("pole"), tinted((0.12, 0.12, 0.13), rng, 0.5)))]


def traffic_sign(rng: np.random.Generator) -> list[Part]:
    """One or two plates on a post, facing -x (towards traffic that drives along +x)."""
    height = rng.uniform(2.0, 2.6)
    post = Part(
        tube((0, 0, -0.3), (0, 0, height + 0.5), 0.032), Paint(Material.ZINC, raw_id("pole"), (0.33, 0.34, 0.34))
    )
    plates = [_sign_plate(height, rng)]
    if rng.random() < 0.5:
        plates.append(_sign_plate(height - 0.72, rng))
    return [post, *plates]


def _sign_plate(z: float, rng: np.random.Generator) -> Part:
    """A round prohibition, a triangular warning or a blue square, 0.6 to 0.8 m across."""
    size = rng.uniform(0.30, 0.40)
    shape = rng.integers(3)
    corners = (20, 3, 4)[shape]
    angle = np.arange(corners) * 2 * np.pi / corners + (0.0, np.pi / 2, np.pi / 4)[shape]
    size *= (1.0, 1.25, 1.25)[shape]
    outline = size * np.column_stack([np.cos(angle), np.sin(angle)])
    mesh = moved(plate(outline, 0.03), pose(-0.05, 0, z, yaw=np.pi))
    color = (0.02, 0.08, 0.40) if shape == 2 else (0.50, 0.015, 0.02)
    return Part(mesh, Paint(Material.SIGN, raw_id("traffic-sign"), color, float(rng.lognormal(0, 0.25))))

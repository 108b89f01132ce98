"""Buildings with rough fronts: terraced and single houses, flats, shops, offices.

The front lies in the plane x = 0 and faces -x; the house fills ``length`` along y and reaches to +x. Steps, bays,
balconies and awnings stand out of the front by at most 2.2 m, eaves by 0.8 m. Windows are panes of GLASS of their own.
Depth (m) and storeys are drawn unless they are given.
"""

from dataclasses import replace

import numpy as np

from elite.synthetic.house_styles import Style, house_style, modern
from elite.synthetic.kinds import Kind, draw
from elite.synthetic.mesh import Part, merged, moved_parts, pose, tube
from elite.synthetic.projections import above, balconies, bay_window, porch, shop_signs
from elite.synthetic.roofs import flat_roof, hipped_roof, mansard_roof, saddle_roof
from elite.synthetic.shapes import bricks, gathered, quads, slab, spread, upright
from elite.synthetic.walls import bays, wall, wall_height


def terraced_house(
    rng: np.random.Generator,
    length: float,
    style: Style | None = None,
    *,
    depth: float | None = None,
    storeys: int | None = None,
) -> list[Part]:
    """A house between party walls, 2-5 storeys: door, windows, often a bay, dormers. Depth 8-12 m."""
    style = style or house_style(rng)
    storeys = storeys or int(rng.choice([2, 3, 4, 5], p=(0.4, 0.35, 0.2, 0.05)))
    depth = depth or rng.uniform(8, 12)
    parts = _shell(length, depth, storeys, style, rng, ground=_door_row(length, style, rng), ends="blank")
    parts += bay_window(length, storeys, style, rng) if rng.random() < 0.3 else []
    return gathered(parts + _roof(length, depth, wall_height(storeys, style), style, rng, gable=rng.random() < 0.15))


def terrace(
    rng: np.random.Generator, length: float, *, depth: float | None = None, storeys: int | None = None
) -> list[Part]:
    """A row of terraced houses, alike or each in its own style. Depth 8-12.4 m."""
    count = max(1, round(length / rng.uniform(5.5, 9.5)))
    alike = house_style(rng) if rng.random() < 0.5 else None
    widths = rng.dirichlet(np.full(count, 4000.0 if alike else 60.0)) * length
    parts, y = [], length / 2
    for width in widths:
        own = replace(alike, accent=house_style(rng).accent) if alike else house_style(rng)
        house = terraced_house(rng, float(width), own, depth=depth, storeys=storeys)
        parts += moved_parts(house, pose(0.0 if alike else rng.uniform(0, 0.4), y - width / 2))
        y -= width
    return gathered(parts)


def single_house(
    rng: np.random.Generator, length: float, *, depth: float | None = None, storeys: int | None = None
) -> list[Part]:
    """A detached house of 1-3 storeys, ridge or gable towards the street, some with a porch. Depth 7-12 m."""
    style, depth = house_style(rng), depth or rng.uniform(7, 12)
    storeys = storeys or int(rng.choice([1, 2, 3], p=(0.3, 0.55, 0.15)))
    parts = _shell(length, depth, storeys, style, rng, ground=_door_row(length, style, rng), ends="windows")
    height = wall_height(storeys, style)
    parts += bay_window(length, storeys, style, rng) if rng.random() < 0.45 else []
    parts += porch(length, style, rng) if rng.random() < 0.35 else []
    parts += balconies(length, storeys, style, rng, share=0.5) if storeys > 1 and rng.random() < 0.4 else []
    if rng.random() < 0.25:
        return gathered(parts + hipped_roof(length, depth, height, rng.uniform(1.8, 3.5), style, rng))
    return gathered(parts + _roof(length, depth, height, style, rng, gable=rng.random() < 0.5))


def townhouse(
    rng: np.random.Generator, length: float, *, depth: float | None = None, storeys: int | None = None
) -> list[Part]:
    """An old town house of 3-5 high storeys: plinth, cornices, pilasters, quoins, oriels. Depth 10-13 m."""
    style = replace(house_style(rng), storey=rng.uniform(3.2, 3.8), pitch=rng.uniform(1.8, 2.5), share=0.45)
    style = replace(style, plinth=True, courses=True, surround=rng.uniform(0.05, 0.12), pilasters=rng.random() < 0.5)
    storeys, depth = storeys or int(rng.integers(3, 6)), depth or rng.uniform(10, 13)
    ground = _shop_row(length, style, rng) if rng.random() < 0.3 else _door_row(length, style, rng)
    parts = _shell(length, depth, storeys, style, rng, ground=ground, ends="blank")
    parts += bay_window(length, storeys, style, rng, foot=1) if rng.random() < 0.5 else []
    parts += balconies(length, storeys, style, rng, share=0.2) if rng.random() < 0.5 else []
    height = wall_height(storeys, style)
    top = mansard_roof(length, depth, height, style) if rng.random() < 0.5 else _roof(length, depth, height, style, rng)
    return gathered(parts + top)


def flats(
    rng: np.random.Generator, length: float, *, depth: float | None = None, storeys: int | None = None
) -> list[Part]:
    """A block of flats of 3-8 storeys with columns of balconies, on a plain style. Depth 10-14 m."""
    style = modern(house_style(rng), rng)
    storeys, depth = storeys or int(rng.integers(3, 9)), depth or rng.uniform(10, 14)
    parts = _shell(length, depth, storeys, style, rng, ground=_door_row(length, style, rng), ends="windows")
    parts += balconies(length, storeys, style, rng, share=rng.uniform(0.25, 0.6)) if rng.random() < 0.85 else []
    height = wall_height(storeys, style)
    flat = rng.random() < 0.65
    top = flat_roof(length, depth, height, style, rng) if flat else _roof(length, depth, height, style, rng)
    return gathered(parts + top)


def shops(
    rng: np.random.Generator, length: float, *, depth: float | None = None, storeys: int | None = None
) -> list[Part]:
    """A house of 1-4 storeys over display windows with awnings and signs, or over an arcade. Depth 9-13 m."""
    style = replace(house_style(rng), base_height=float(rng.choice([0.0, 0.15])))
    storeys, depth = storeys or int(rng.integers(1, 5)), depth or rng.uniform(9, 13)
    if storeys > 1 and rng.random() < 0.25:
        return gathered(_arcade(length, depth, storeys, style, rng))
    parts = _shell(length, depth, storeys, style, rng, ground=_shop_row(length, style, rng), ends="blank")
    parts += shop_signs(length, style, rng)
    return gathered(parts + _roof(length, depth, wall_height(storeys, style), style, rng))


def offices(
    rng: np.random.Generator, length: float, *, depth: float | None = None, storeys: int | None = None
) -> list[Part]:
    """A front of glass between mullions and floor bands, 2-6 storeys. Depth 10-14 m."""
    style = modern(house_style(rng), rng)
    storeys, depth = storeys or int(rng.integers(2, 7)), depth or rng.uniform(10, 14)
    storey = rng.uniform(3.0, 3.8)
    height, half, pitch = storeys * storey, length / 2, rng.uniform(1.2, 2.4)
    y, z = spread(-half, half, pitch), np.arange(storeys + 1) * storey
    panes = [
        (y[i], y[i + 1], z[j], z[j + 1], (i * 7 + j * 3 + int(rng.integers(3))) % 3)
        for i in range(len(y) - 1)
        for j in range(storeys)
    ]
    grid = np.array(panes)
    fins, bands = rng.uniform(0.04, 0.25), rng.uniform(0.15, 0.9)
    parts = [Part(quads(upright(grid[grid[:, 4] == k, :4])), p) for k, p in enumerate(style.panes)]
    parts.append(Part(bricks(np.stack([y - 0.03, y + 0.03, 0 * y, 0 * y + height], 1), -fins, 0.05), style.metal))
    low = np.maximum(z - bands / 2, -0.3)
    parts.append(
        Part(
            bricks(np.stack([0 * z - half, 0 * z + half, low, z + bands / 2], 1), -rng.uniform(0.02, 0.15), 0.02),
            style.trim,
        )
    )
    plain = replace(style, base_height=0.0, storey=storey, relief="flat")
    parts += _sides(length, depth, storeys, plain, rng, ends="windows")
    door = slab((-rng.uniform(0.8, 2.0), -1.6, 2.6), (0.1, 1.6, 2.8))
    return gathered([*parts, Part(door, style.metal), *flat_roof(length, depth, height, style, rng)])


def _shell(
    width: float,
    depth: float,
    storeys: int,
    style: Style,
    rng: np.random.Generator,
    *,
    ground: tuple[str, ...],
    ends: str,
) -> list[Part]:
    """Front, sides and back."""
    return wall(width, storeys, style, rng, ground=ground) + _sides(width, depth, storeys, style, rng, ends=ends)


def _sides(
    width: float, depth: float, storeys: int, style: Style, rng: np.random.Generator, *, ends: str
) -> list[Part]:
    """The side walls, blank or with a few windows, and the back."""
    bare = ("blank",) * bays(depth, style)
    left, right = (
        wall(depth, storeys, style, rng, ground=bare if rng.random() < 0.4 else (), fine=True)
        if ends == "windows"
        else [Part(quads(upright(np.array([(-depth / 2, depth / 2, -0.6, wall_height(storeys, style))]))), style.wall)]
        for _ in range(2)
    )
    back = wall(width, storeys, style, rng, fine=False)
    return [
        *moved_parts(left, pose(depth / 2, width / 2, yaw=-np.pi / 2)),
        *moved_parts(right, pose(depth / 2, -width / 2, yaw=np.pi / 2)),
        *moved_parts(back, pose(depth, 0, yaw=np.pi)),
    ]


def _roof(
    width: float, depth: float, height: float, style: Style, rng: np.random.Generator, *, gable: bool = False
) -> list[Part]:
    if not gable and rng.random() < 0.1:
        return flat_roof(width, depth, height, style, rng)
    rise = (width if gable else depth) / 2 * np.tan(np.deg2rad(rng.uniform(25, 50)))
    return saddle_roof(width, depth, height, min(rise, 6.5), style, rng, gable=gable)


def _door_row(width: float, style: Style, rng: np.random.Generator) -> tuple[str, ...]:
    """Ground floor of windows with one door or two, sometimes with a garage."""
    count = bays(width, style)
    row = ["window"] * count
    row[int(rng.integers(count))] = "door"
    if count > 2 and rng.random() < 0.25 and width / count > 2.4:
        row[0 if row[0] == "window" else -1] = "garage"
    return tuple(row)


def _shop_row(width: float, style: Style, rng: np.random.Generator) -> tuple[str, ...]:
    row = ["shop"] * bays(width, style)
    row[int(rng.integers(len(row)))] = "door"
    return tuple(row)


def _arcade(width: float, depth: float, storeys: int, style: Style, rng: np.random.Generator) -> list[Part]:
    """A house whose ground floor lies 2.5 m back behind columns."""
    deep, plain = 2.5, replace(style, base_height=0.0, plinth=False)
    ground = wall(width, 1, replace(plain, downpipes=False), rng, ground=_shop_row(width, plain, rng))
    lift = style.storey
    upper = above(
        moved_parts(_shell(width, depth, storeys - 1, plain, rng, ground=(), ends="blank"), pose(z=lift)), lift
    )
    y = spread(-width / 2 + 0.25, width / 2 - 0.25, rng.uniform(2.5, 4.0))
    round_ones = rng.random() < 0.5
    columns = [
        tube((0.25, at, -0.3), (0.25, at, lift), 0.2)
        if round_ones
        else slab((0.05, at - 0.22, -0.3), (0.45, at + 0.22, lift))
        for at in y
    ]
    ceiling = slab((0, -width / 2, lift - 0.25), (deep, width / 2, lift))
    ends = quads(
        np.array(
            [[(deep, s, -0.6), (depth, s, -0.6), (depth, s, lift), (deep, s, lift)] for s in (-width / 2, width / 2)]
        )
    )
    back = quads(upright(np.array([(-width / 2, width / 2, -0.6, lift)]), depth))
    return [
        *moved_parts(ground, pose(deep)),
        *upper,
        Part(merged(columns), style.base),
        Part(ceiling, style.trim),
        Part(merged([ends, back]), style.wall),
        *_roof(width, depth, lift + wall_height(storeys - 1, plain), style, rng),
    ]


def building(rng: np.random.Generator, width: float, depth: float, storeys: int) -> list[Part]:
    """A building of any kind that suits its size."""
    suiting = {
        "terrace": width >= 6 and 2 <= storeys <= 5,
        "single house": width <= 18 and storeys <= 3,
        "townhouse": width >= 7 and 3 <= storeys <= 5,
        "flats": width >= 12 and storeys >= 3,
        "shops": storeys <= 4,
        "offices": width >= 10 and storeys >= 2,
    }
    kind = draw({name: KINDS[name] for name, suits in suiting.items() if suits}, rng)
    return KINDS[kind].make(rng, width, depth=depth, storeys=storeys)


KINDS: dict[str, Kind] = {
    "terrace": Kind(terrace, (-3.6, 15), 0.9, 30, (6, 60), weight=2),
    "single house": Kind(single_house, (-3.6, 15), 0.9, 22, (6.5, 16), weight=3),
    "townhouse": Kind(townhouse, (-3.6, 16), 0.9, 32, (8, 30), weight=1.5),
    "flats": Kind(flats, (-3.6, 16), 0.9, 36, (12, 50), weight=1.2),
    "shops": Kind(shops, (-3.6, 16), 0.9, 28, (6, 25), weight=1),
    "offices": Kind(offices, (-3.6, 16), 0.9, 30, (10, 40), weight=0.4),
}

"""Trees of many habits and sizes. The clear trunk is labelled trunk, branches and leaves are vegetation.

Every maker draws colour, size and shape from ``rng``. The trunk stands at x = y = 0 and reaches 0.6 m below the ground.
"""

from dataclasses import dataclass

import numpy as np

from elite.shapes import Float
from elite.synthetic.classes import raw_id
from elite.synthetic.foliage import (
    VEGETATION,
    Ellipsoids,
    cloud,
    green,
    leaf_paint,
    leaf_size,
    on_ellipsoids,
    surface,
)
from elite.synthetic.kinds import Kind
from elite.synthetic.materials import Material
from elite.synthetic.mesh import Mesh, Paint, Part, leaves, merged, tube
from elite.synthetic.scenery import Color, tinted
from elite.synthetic.shapes import pipe

_BURIED = 0.6
_TRUNK = raw_id("trunk")
_BARKS: tuple[Color, ...] = ((0.13, 0.10, 0.07), (0.20, 0.17, 0.13), (0.09, 0.07, 0.05), (0.17, 0.12, 0.08))
_BIRCH: Color = (0.55, 0.54, 0.50)
_LEAVES = 5000  # of a crown, before those high up are thinned out


@dataclass(frozen=True)
class Habit:
    """Growth of a tree: ranges of its height (m), and of trunk, crown radius and lowest blob as shares of the height.

    ``widest`` is the height of the widest place within the crown, 0..1; ``blobs`` the number of masses of leaves.
    """

    height: tuple[float, float]
    clear: tuple[float, float]
    spread: tuple[float, float]
    widest: float
    blobs: tuple[int, int]
    depth: float = 1.0


ROUND = Habit((5.5, 12.0), (0.18, 0.34), (0.24, 0.36), 0.45, (7, 11))
COLUMNAR = Habit((6.0, 18.0), (0.08, 0.2), (0.09, 0.15), 0.35, (8, 12))
SPREADING = Habit((7.0, 13.0), (0.16, 0.3), (0.38, 0.5), 0.55, (10, 15))
TALL = Habit((11.0, 18.0), (0.2, 0.4), (0.2, 0.3), 0.5, (9, 14), 0.6)
SMALL = Habit((4.0, 6.0), (0.2, 0.38), (0.26, 0.4), 0.45, (5, 8))
LIGHT = Habit((6.0, 12.0), (0.2, 0.35), (0.18, 0.28), 0.4, (8, 12), 0.4)  # a birch, through which much is visible


def tree(rng: np.random.Generator, habit: Habit = ROUND) -> list[Part]:
    """A tree with one trunk; the habits are constants of this module. Within 8 m of its trunk."""
    height = rng.uniform(*habit.height)
    color, bark = green(rng), _bark(rng, birch=habit is LIGHT)
    fork = _fork(height * rng.uniform(*habit.clear), rng)
    crown = _crown(height, fork, habit, rng)
    radius = _trunk_radius(height, rng)
    return [
        Part(_trunk(fork, radius, rng), bark),
        Part(_branches(fork, crown[0], radius, rng), _branch_paint(bark)),
        _leaves(crown, habit.depth, leaf_paint(rng, color), rng),
    ]


def multi_stem_tree(rng: np.random.Generator) -> list[Part]:
    """Two to five thin stems that fan out from one root, under a common crown. Within 8 m of the root."""
    height, stems = rng.uniform(4.0, 9.0), int(rng.integers(2, 6))
    turns = np.arange(stems) * 2 * np.pi / stems + rng.uniform(0, 1, stems)
    lean, clear = rng.uniform(0.15, 0.4, stems), height * rng.uniform(0.25, 0.4)
    tips = np.column_stack([lean * clear * np.cos(turns), lean * clear * np.sin(turns), np.full(stems, clear)])
    radius, bark = _trunk_radius(height, rng) * 0.6, _bark(rng, birch=rng.random() < 0.2)
    middle = np.array([0, 0, clear])
    crown = _crown(height, middle, ROUND, rng)
    return [
        Part(merged([_trunk(tip, radius * rng.uniform(0.6, 1.1), rng) for tip in tips]), bark),
        Part(
            merged([_branches(tip, crown[0][i::stems], radius, rng) for i, tip in enumerate(tips)]), _branch_paint(bark)
        ),
        _leaves(crown, 0.75, leaf_paint(rng, green(rng)), rng),
    ]


def ivy_tree(rng: np.random.Generator) -> list[Part]:
    """A tree whose trunk is covered by ivy, which is vegetation. Within 8 m of its trunk."""
    parts = tree(rng, ROUND if rng.random() < 0.6 else TALL)
    trunk = parts[0].mesh.corners
    top = float(trunk[..., 2].max()) * rng.uniform(0.6, 1.0)
    z = rng.uniform(0, 1, 700) ** 1.3 * top
    axis = trunk[trunk[..., 2].argmax(axis=1) >= 0].reshape(-1, 3)
    slope = axis[axis[:, 2].argmax(), :2] / max(float(axis[:, 2].max()), 1.0)
    turn, out = rng.uniform(0, 2 * np.pi, 700), rng.uniform(0.1, 0.28) + 0.02 * _trunk_radius(10, rng)
    reach = out + rng.exponential(0.06, 700)
    at = np.column_stack([slope[0] * z + reach * np.cos(turn), slope[1] * z + reach * np.sin(turn), z])
    return [*parts, Part(leaves(at, 0.1, rng), leaf_paint(rng, (0.05, 0.10, 0.03)))]


def young_tree(rng: np.random.Generator) -> list[Part]:
    """A planted street tree 3.5-5.5 m high with a trunk as thick as an arm, mostly tied to stakes. Within 1.6 m."""
    height, radius = rng.uniform(3.5, 5.5), rng.uniform(0.03, 0.06)
    fork, bark = _fork(height * rng.uniform(0.4, 0.5), rng), _bark(rng)
    habit = Habit((height, height), (0.4, 0.5), (0.14, 0.26), 0.45, (4, 7))
    crown = _crown(height, fork, habit, rng)
    parts = [
        Part(_trunk(fork, radius, rng), bark),
        Part(_branches(fork, crown[0], radius, rng), _branch_paint(bark)),
        _leaves(crown, 0.6, leaf_paint(rng, green(rng)), rng),
    ]
    return [*parts, *_stakes(rng)] if rng.random() < 0.75 else parts


def _stakes(rng: np.random.Generator) -> list[Part]:
    """One to three round stakes about the trunk, and rails between them."""
    count, away, top = int(rng.integers(1, 4)), rng.uniform(0.18, 0.4), rng.uniform(1.3, 2.1)
    turns = rng.uniform(0, 6) + np.arange(count) * 2 * np.pi / count
    feet = np.column_stack([away * np.cos(turns), away * np.sin(turns), np.full(count, -0.3)])
    heads = feet + np.array([0, 0, top + 0.3])
    poles = [tube(a, b, 0.035, sections=6) for a, b in zip(feet, heads, strict=True)]
    rails = [
        tube(heads[i] - (0, 0, 0.1), heads[i - 1] - (0, 0, 0.1), 0.025, sections=5) for i in range(count) if count > 1
    ]
    return [Part(merged(poles + rails), Paint(Material.WOOD, _TRUNK, tinted((0.36, 0.26, 0.15), rng, 0.3)))]


def bare_tree(rng: np.random.Generator) -> list[Part]:
    """A leafless or pollarded tree: a trunk and many twigs. Within 5 m of its trunk."""
    height = rng.uniform(4.0, 10.0)
    fork, radius, bark = _fork(height * rng.uniform(0.25, 0.4), rng), _trunk_radius(height, rng), _bark(rng)
    boughs = _tips(fork, int(rng.integers(5, 9)), 0.3 * height, rng)
    twigs = [_branches(bough, _tips(bough, 7, 0.18 * height, rng), radius * 0.4, rng) for bough in boughs]
    return [
        Part(_trunk(fork, radius, rng), bark),
        Part(merged([_branches(fork, boughs, radius, rng), *twigs]), _branch_paint(bark)),
    ]


def _tips(foot: Float[np.ndarray, "3"], count: int, reach: float, rng: np.random.Generator) -> Float[np.ndarray, "k 3"]:
    """Ends of ``count`` boughs that rise from ``foot``."""
    out = rng.normal(size=(count, 3)) * (0.7, 0.7, 0.35) + (0, 0, 0.8)
    return foot + reach * rng.uniform(0.7, 1.2, (count, 1)) * out / np.linalg.norm(out, axis=1, keepdims=True)


def spruce(rng: np.random.Generator) -> list[Part]:
    """A conifer of drooping tiers, green from near the ground. Within 3 m of its trunk."""
    height, foot = rng.uniform(4.0, 16.0), rng.uniform(0.1, 1.6)
    spread = rng.uniform(0.16, 0.22) * height
    tiers = int(rng.integers(9, 16))
    up = 1 - np.sqrt(rng.uniform(0, 1, 3600))
    tier = (np.floor(up * tiers) + rng.uniform(0.1, 0.9, len(up))) / tiers
    turn, out = rng.uniform(0, 2 * np.pi, len(up)), rng.uniform(0.1, 1, len(up)) ** 0.6
    radius = out * spread * (1 - tier) ** 0.85
    z = foot + tier * (height - foot) - 0.28 * radius + rng.normal(0, 0.08, len(up)) + 0.12 * spread * (1 - tier)
    return _conifer(np.column_stack([radius * np.cos(turn), radius * np.sin(turn), np.maximum(z, 0.05)]), height, rng)


def _conifer(tips: Float[np.ndarray, "n 3"], height: float, rng: np.random.Generator) -> list[Part]:
    """Trunk and needles at ``tips``, not higher than the tree."""
    needles = tinted((0.045, 0.085, 0.04), rng, 0.3)
    size = 0.1 + 0.008 * height
    trunk = tube((0, 0, -_BURIED), (0, 0, height * 0.93), _trunk_radius(height, rng), 0.02)
    tips[:, 2] = np.minimum(tips[:, 2], height)
    return [Part(trunk, _bark(rng)), cloud(tips, size, leaf_paint(rng, needles), rng)]


def pine(rng: np.random.Generator) -> list[Part]:
    """A tall bare reddish trunk under flat dark clumps. Within 6 m of its trunk."""
    parts = tree(rng, Habit((8.0, 17.0), (0.4, 0.6), (0.16, 0.26), 0.6, (6, 10), 0.6))
    bark = Paint(Material.BARK, _TRUNK, tinted((0.24, 0.13, 0.08), rng))
    needles = leaf_paint(rng, tinted((0.05, 0.09, 0.045), rng))
    return [Part(parts[0].mesh, bark), Part(parts[1].mesh, _branch_paint(bark)), Part(parts[2].mesh, needles)]


def thuja(rng: np.random.Generator) -> list[Part]:
    """A slim cypress or thuja that is green down to the ground, 1.8-7 m high. Within 1.2 m of its middle."""
    height = rng.uniform(1.8, 7.0)
    spread, count = height * rng.uniform(0.09, 0.16), 2200
    up, turn = rng.uniform(0, 1, count) ** 1.2, rng.uniform(0, 2 * np.pi, count)
    envelope = spread * np.minimum(1, 6 * up + 0.5) * np.sqrt(np.maximum(1 - up**2, 0))
    out = envelope * (1 - 0.15 * rng.exponential(1, count).clip(0, 4)) + rng.normal(0, 0.04, count)
    return _conifer(np.column_stack([out * np.cos(turn), out * np.sin(turn), up * height + 0.03]), height, rng)


def stump(rng: np.random.Generator) -> list[Part]:
    """A stump or a log on the ground, up to 3 m long. Within 1.6 m of its middle."""
    radius = rng.uniform(0.12, 0.35)
    if rng.random() < 0.5:
        log = tube((0, 0, -0.3), (*rng.normal(0, 0.03, 2), rng.uniform(0.2, 0.9)), radius * 1.3, radius, sections=10)
    else:
        half = rng.uniform(0.5, 1.4)
        log = tube((-half, 0, 0.8 * radius), (half, 0, 0.8 * radius), radius, 0.8 * radius, sections=10)
    return [Part(log, _bark(rng))]


def _bark(rng: np.random.Generator, *, birch: bool = False) -> Paint:
    color = _BIRCH if birch else _BARKS[rng.integers(len(_BARKS))]
    return Paint(Material.BARK, _TRUNK, tinted(color, rng, 0.3), float(rng.lognormal(0, 0.15)))


def _branch_paint(bark: Paint) -> Paint:
    return Paint(bark.material, VEGETATION, bark.color, bark.gain)


def _trunk_radius(height: float, rng: np.random.Generator) -> float:
    return float(np.clip(height * rng.uniform(0.011, 0.024), 0.05, 0.32))


def _fork(height: float, rng: np.random.Generator) -> Float[np.ndarray, "3"]:
    """Upper end of the clear trunk, which leans a little."""
    return np.array([*rng.normal(0, 0.05, 2) * height, height])


def _trunk(fork: Float[np.ndarray, "3"], radius: float, rng: np.random.Generator) -> Mesh:
    """A bent trunk with a wider foot."""
    shares = np.array([0, 0.12, 0.55, 1.0])
    path = fork * shares[:, None] + np.array([0, 0, 0.0])
    path[2, :2] += rng.normal(0, 0.03, 2) * fork[2]
    path[0, 2] = -_BURIED
    return pipe(path, radius * np.array([1.45, 1.08, 0.95, 0.82]), sections=9)


def _branches(
    fork: Float[np.ndarray, "3"], tips: Float[np.ndarray, "k 3"], radius: float, rng: np.random.Generator
) -> Mesh:
    """Bent branches from the fork to the tips, and the trunk's continuation among them."""
    bars = []
    for tip in tips:
        middle = fork + (tip - fork) * rng.uniform(0.4, 0.6) + rng.normal(0, 0.06, 3) * np.linalg.norm(tip - fork)
        thick = radius * rng.uniform(0.3, 0.55)
        bars.append(
            pipe(np.stack([fork - (0, 0, 0.15), middle, tip]), np.array([thick, 0.6 * thick, 0.2 * thick]), sections=5)
        )
    return merged(bars)


def _crown(height: float, fork: Float[np.ndarray, "3"], habit: Habit, rng: np.random.Generator) -> Ellipsoids:
    """Masses of leaves in the envelope of the crown."""
    low = fork[2] * rng.uniform(0.5, 1.0)
    count, spread = int(rng.integers(*habit.blobs)), height * rng.uniform(*habit.spread)
    up = (np.arange(count) + rng.uniform(0.2, 0.8, count)) / count
    side = np.where(up < habit.widest, up / habit.widest, (1 - up) / (1 - habit.widest))
    envelope = spread * np.sqrt(np.clip(side, 0.3, 1))
    turn = np.arange(count) * 2.4 + rng.uniform(0, 6)
    out = envelope * rng.uniform(0.2, 0.65, count)
    size = envelope * rng.uniform(0.4, 0.62, count) + 0.03 * height
    size = np.minimum(size, 0.28 * (height - low))
    z = low + size * 0.6 + up * (height - low - 1.4 * size)
    centers = np.column_stack([fork[0] + out * np.cos(turn), fork[1] + out * np.sin(turn), z])
    return centers, size[:, None] * np.array([1, 1, 0.75]) * rng.uniform(0.85, 1.15, (count, 3))


def _leaves(crown: Ellipsoids, depth: float, paint: Paint, rng: np.random.Generator) -> Part:
    """Leaves of a crown, as large as its budget of triangles requires."""
    size = leaf_size(surface(crown), depth, _LEAVES, 0.09, 0.4)
    return cloud(on_ellipsoids(crown, size, depth, rng, shell=0.4), size, paint, rng)


KINDS: dict[str, Kind] = {
    "round tree": Kind(tree, (-8, 8), 8, 20, weight=3),
    "spreading tree": Kind(lambda rng: tree(rng, SPREADING), (-11, 11), 11, 20, weight=1.5),
    "tall tree": Kind(lambda rng: tree(rng, TALL), (-8, 8), 8, 22, weight=1),
    "columnar tree": Kind(lambda rng: tree(rng, COLUMNAR), (-5, 5), 5, 20, weight=1),
    "small tree": Kind(lambda rng: tree(rng, SMALL), (-5, 5), 5, 8, weight=2),
    "birch": Kind(lambda rng: tree(rng, LIGHT), (-6, 6), 6, 14, weight=1),
    "multi-stem tree": Kind(multi_stem_tree, (-7, 7), 7, 12, weight=1),
    "ivy tree": Kind(ivy_tree, (-8, 8), 8, 22, weight=0.7),
    "young tree": Kind(young_tree, (-3, 3), 3, 6.5, weight=1.5),
    "bare tree": Kind(bare_tree, (-6, 6), 6, 12, weight=0.3),
    "spruce": Kind(spruce, (-4.5, 4.5), 4.5, 17, weight=0.8),
    "pine": Kind(pine, (-8, 8), 8, 20, weight=0.4),
    "thuja": Kind(thuja, (-1.8, 1.8), 1.8, 7.6, weight=0.8),
    "stump": Kind(stump, (-1.8, 1.8), 0.7, 1.1, weight=0.1),
}

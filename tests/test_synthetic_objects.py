"""Objects of rendered streets: every kind stands on the ground, within the room that its table states."""

import numpy as np
import pytest

pytest.importorskip("trimesh")

from elite.synthetic import (
    boundaries,
    buses,
    cars,
    facades,
    greenery,
    heavy_vehicles,
    outbuildings,
    passers_by,
    poles,
    street_furniture,
    trailers,
    trees,
)
from elite.synthetic.classes import raw_id
from elite.synthetic.kinds import OTHER_OBJECT, OTHER_STRUCTURE, Kind, draw
from elite.synthetic.mesh import Part
from tests.support.gallery import made

SEEDS = range(12)
# Labels that parts of each module may have, and the most triangles of one object (per metre of those with a length).
MODULES = {
    trees: ({"trunk", "vegetation"}, 7500),
    greenery: ({"vegetation", "terrain"}, 4500),
    boundaries: ({"fence", "vegetation"}, 5000),
    cars: ({"car", "truck"}, 1600),
    heavy_vehicles: ({"truck"}, 6000),
    buses: ({"other-vehicle"}, 2500),
    trailers: ({"other-vehicle"}, 1600),
    poles: ({"pole", "traffic-sign", "unlabelled"}, 600),
    street_furniture: ({"pole", "vegetation", "unlabelled"}, 2000),
    passers_by: ({"person", "bicyclist", "motorcyclist"}, 4500),
    outbuildings: ({"building"}, 1500),
    facades: ({"building"}, 2500),
}
PER_METRE = 1000

KINDS = {(module, name): kind for module in MODULES for name, kind in module.KINDS.items()}
CASES = [pytest.param(module, kind, id=name) for (module, name), kind in KINDS.items()]


def length_of(kind: Kind, seed: int) -> float:
    low, high = kind.lengths or (0.0, 0.0)
    return low + (min(high, 12.0) - low) * seed / len(SEEDS)


def corners(parts: list[Part]) -> np.ndarray:
    return np.concatenate([part.mesh.corners.reshape(-1, 3) for part in parts])


@pytest.mark.parametrize(("module", "kind"), CASES)
def test_object_any_seed_fits_its_stated_room_and_stands_on_the_ground(module, kind):
    for seed in SEEDS:
        length = length_of(kind, seed)
        points = corners(made(kind, seed, length))
        assert np.isfinite(points).all()
        (x0, y0, z0), (x1, y1, z1) = points.min(axis=0), points.max(axis=0)
        assert kind.x[0] <= x0 <= x1 <= kind.x[1]
        assert max(-y0, y1) <= kind.y + length / 2
        assert -0.9 <= z0 <= 0.12
        assert 0.05 < z1 <= kind.z


@pytest.mark.parametrize(("module", "kind"), CASES)
def test_object_any_seed_has_sound_triangles_and_labels_of_its_module(module, kind):
    names, most = MODULES[module]
    labels = {raw_id(name) for name in names - {"unlabelled"}}
    labels |= {OTHER_OBJECT, OTHER_STRUCTURE} if "unlabelled" in names else set()
    for seed in SEEDS:
        length = length_of(kind, seed)
        parts = made(kind, seed, length)
        assert {part.paint.label for part in parts} <= labels
        assert sum(len(part.mesh.corners) for part in parts) <= most + PER_METRE * length
        for part in parts:
            assert len(part.mesh.corners) == len(part.mesh.normals) == len(part.mesh.uv) > 0
            np.testing.assert_allclose(np.linalg.norm(part.mesh.normals, axis=2), 1, atol=1e-3)
            assert np.isfinite(part.mesh.uv).all()


@pytest.mark.parametrize(("module", "kind"), CASES)
def test_object_equal_seeds_are_equal_and_others_differ(module, kind):
    length = length_of(kind, 6) or None
    one, again, other = (corners(made(kind, seed, length)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_draw_gives_every_kind_by_weight():
    rng = np.random.default_rng(0)
    names = [draw(trees.KINDS, rng) for _ in range(3000)]
    total = sum(kind.weight for kind in trees.KINDS.values())
    for name, kind in trees.KINDS.items():
        assert names.count(name) / len(names) == pytest.approx(kind.weight / total, abs=0.03)


@pytest.mark.parametrize(("width", "depth", "storeys"), [(5.0, 7.0, 1), (9.0, 11.0, 3), (28.0, 14.0, 7)])
def test_building_of_given_size_has_it(width, depth, storeys):
    for seed in SEEDS:
        points = corners(facades.building(np.random.default_rng(seed), width, depth, storeys))
        (x0, y0, _), (x1, y1, z1) = points.min(axis=0), points.max(axis=0)
        assert -3.6 <= x0 <= 0
        assert depth <= x1 <= depth + 1.3
        assert width <= y1 - y0 <= width + 1.8
        assert z1 >= 2.4 * storeys

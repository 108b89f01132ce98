"""Streets of world 2: ground without holes, poses that agree with scans, classes at about the published rates."""

import hashlib
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

pytest.importorskip("trimesh")
pytest.importorskip("embreex")

from elite.datasets.formats import split_label
from elite.errors import ConfigError
from elite.layout import Layout
from elite.synthetic import DriveConfig, render_drive
from elite.synthetic.build import ego_poses, open_world
from elite.synthetic.classes import raw_id
from elite.synthetic.drive import scan_frame
from elite.synthetic.mesh import soup
from elite.synthetic.raycast import Caster, TriangleScene
from elite.synthetic.world2.corners import corners
from elite.synthetic.world2.ground import ground_parts
from elite.synthetic.world2.layout import draw_plan
from elite.synthetic.world2.lines import rounded_union
from elite.synthetic.world2.lots import draw_lots
from elite.synthetic.world2.plan import Plan
from elite.synthetic.world2.surfaces import Ground
from tests.support.semantickitti import KITTI

TINY = DriveConfig(sequences=1, frames=2, azimuths=180, image_width=64, image_height=24, world=2)
SHORT = patch("elite.synthetic.world2.build._MARGIN", 30.0)


def plan_of(seed: int, length: float = 60.0) -> Plan:
    rng = np.random.default_rng(seed)
    plan = draw_plan(-length / 2, length / 2, length / 4, rng)
    return plan.with_overlays(draw_lots(plan, rng)[1])


@pytest.mark.parametrize("seed", range(4))
def test_ground_has_no_holes_and_the_heights_of_the_plan(seed: int) -> None:
    plan, rng = plan_of(seed), np.random.default_rng(0)
    caster = Caster(TriangleScene(soup(ground_parts(plan, rng), 0)))
    s, t = rng.uniform(plan.start + 1, plan.stop - 1, 20_000), rng.uniform(-75, 75, 20_000)
    origins = np.column_stack([plan.locate(s, t), np.full(len(s), 50.0)])
    hits = caster.cast(origins, np.tile([0.0, 0.0, -1.0], (len(s), 1)))
    assert (hits.paint >= 0).all()
    kinds = plan.kinds(s, t)
    planned = np.empty(len(s))
    for kind in np.unique(kinds):
        planned[kinds == kind] = plan.heights(s[kinds == kind], t[kinds == kind], Ground(int(kind)))
    near = np.abs(t) < 12
    assert np.quantile(np.abs(50 - hits.distance - planned)[near], 0.98) < 0.05
    assert (hits.normal[:, 2] > 0.3).mean() > 0.999


def test_rounded_union_has_the_radius_of_the_corner() -> None:
    """The corner of two half planes x < 0 and y < 0 is an arc about (4, 4)."""
    turn = np.linspace(np.pi, 1.5 * np.pi, 9)
    x, y = 4 + 4 * np.cos(turn), 4 + 4 * np.sin(turn)
    np.testing.assert_allclose(rounded_union(x, y, 4.0), 0, atol=1e-12)
    assert rounded_union(np.array([9.0]), np.array([-1.0]), 4.0) == [-1.0]


def test_poses_agree_with_scans(tmp_path: Path) -> None:
    """Ground points of two frames, moved by their poses, lie on one surface."""
    config = replace(TINY, seed=3)
    with SHORT:
        render_drive(tmp_path / "d", config, workers=1, progress=False)
        world, poses = open_world(config, "00"), ego_poses(config, "00")
    layout, plan = Layout(tmp_path / "d"), world.street
    assert isinstance(plan, Plan)
    for index, pose in enumerate(poses):
        points = np.fromfile(layout.scan("00", f"{index:06d}"), np.float32).reshape(-1, 4)
        label = split_label(np.fromfile(layout.labels("00", f"{index:06d}"), np.uint32))[0]
        road = (label == raw_id("road")) & (np.linalg.norm(points[:, :3], axis=1) < 12)
        at = points[road, :3] @ pose[:3, :3].T + pose[:3, 3]
        s = np.arange(plan.start, plan.stop, 0.25)
        nearest = s[np.linalg.norm(plan.locate(s, 0.0)[None] - at[:, None, :2], axis=2).argmin(axis=1)]
        normal = np.stack([-np.sin(plan.heading(nearest)), np.cos(plan.heading(nearest))], axis=1)
        t = ((at[:, :2] - plan.locate(nearest, 0.0)) * normal).sum(axis=1)
        away = np.abs(at[:, 2] - plan.heights(nearest, t, Ground.ROAD))
        assert road.sum() > 100
        assert np.median(away) < 0.03


def test_street_is_determined_by_its_seed() -> None:
    digests = set()
    for seed in (1, 1, 2):
        open_world.cache_clear()
        with SHORT:
            config = replace(TINY, seed=seed)
            world = open_world(config, "00")
            points, labels = scan_frame(world, world.caster(0), config, "00", 0)
        digests.add(hashlib.sha256(points.tobytes() + labels.tobytes()).hexdigest())
    assert len(digests) == 2


def test_rare_raises_the_number_of_rare_objects_only() -> None:
    counts = []
    for rare in (1.0, 8.0):
        with SHORT:
            world = open_world(replace(TINY, rare=rare, seed=2), "00")
        classes = KITTI.to_train(world.paints.label)
        objects = {(c, i) for c, i in zip(classes.tolist(), world.paints.instance.tolist(), strict=True) if i}
        counts.append(np.bincount([c for c, _ in objects], minlength=20))
    assert counts[1][2:9].sum() > 3 * max(counts[0][2:9].sum(), 3)
    assert counts[1][1] < 1.5 * counts[0][1] + 3


@pytest.mark.parametrize(("rare", "world"), [(-1.0, 2), (50.0, 2), (float("nan"), 2), (2.0, 1)])
def test_drive_config_impossible_rare_is_refused(rare: float, world: int) -> None:
    with pytest.raises(ConfigError, match="rare: expected"):
        DriveConfig(rare=rare, world=world)


def test_borders_of_corners_follow_the_paved_ground() -> None:
    for seed in range(6):
        plan = plan_of(seed, 200.0)
        for corner in corners(plan):
            away = plan.paved(*corner.path.T)
            assert np.abs(away - 0.4).max() < 0.25
            assert np.linalg.norm(np.diff(corner.path, axis=0), axis=1).max() < 8


# Shares (%) of the points of SemanticKITTI's training split, and how far a few streets may be from them.
BANDS = {
    "car": (1, 9),
    "road": (12, 30),
    "sidewalk": (6, 22),
    "building": (7, 25),
    "fence": (2.5, 11),
    "vegetation": (16, 42),
    "terrain": (4, 22),
    "trunk": (0.2, 1.6),
    "pole": (0.1, 1.0),
}


@pytest.mark.slow
def test_shares_of_classes_are_about_the_published_ones() -> None:
    config, counts = replace(TINY, sequences=10, azimuths=512), np.zeros(20)
    for sequence in list(config.frame_counts())[:10]:
        world = open_world(config, sequence)
        label = scan_frame(world, world.caster(0), config, sequence, 0)[1]
        counts += np.bincount(KITTI.to_train(split_label(label)[0]), minlength=20)
    shares = dict(zip(KITTI.names, 100 * counts / counts[1:].sum(), strict=True))
    outside = {name: shares[name] for name, (low, high) in BANDS.items() if not low < shares[name] < high}
    assert not outside

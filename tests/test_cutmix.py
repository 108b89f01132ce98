"""Pasting objects of one scan into another."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from elite.config import AugmentConfig, CutmixConfig, ImageConfig, StudentConfig
from elite.data.cutmix import Cutout, extract_objects, footprint, occluded, overlap, paste
from elite.data.dataset import TrainingSet
from elite.datasets import SemanticKITTI
from elite.errors import ConfigError
from elite.sensor import load_sensor
from elite.types import Frame, Scan
from tests.support.scans import write_frame
from tests.support.semantickitti import KITTI

VOLUME = StudentConfig().volume
GROUND = [KITTI.train_id[name] for name in ("road", "parking", "sidewalk", "other-ground", "terrain")]
ROAD, SIDEWALK, BUILDING, CAR, BUS, PERSON = 40, 48, 50, 10, 13, 30  # raw ids


def block(
    rng: np.random.Generator, centre: tuple[float, float], size: tuple[float, float, float], n: int
) -> np.ndarray:
    """Points (n, 3) in a box that stands on the street."""
    return rng.uniform(-0.5, 0.5, (n, 3)) * size + [*centre, size[2] / 2 - 1.7]


THINGS = ((CAR, -3.5, (4, 1.8, 1.5), 200), (BUS, 0.0, (8, 2.4, 2.9), 300), (PERSON, 7.0, (0.5, 0.5, 1.7), 60))


def street(number: int, objects: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """A scan (n, 4) and its raw words: a road along x, sidewalks 0.1 m higher, walls, and things that share numbers.

    No two points have the same remission, nor those of two streets: they are in [number, number + 1) / 5.
    """
    rng = np.random.default_rng(number)
    xy = rng.uniform((-45, -9), (45, 9), (12000, 2))
    on_road = np.abs(xy[:, 1]) < 5
    ground = np.column_stack([xy, np.where(on_road, -1.7, -1.6) + rng.normal(0, 0.02, len(xy))])
    wall = np.column_stack([rng.uniform(-45, 45, 3000), rng.choice([-9.2, 9.2], 3000), rng.uniform(-1.6, 1.9, 3000)])
    parts, words = [ground, wall], [np.where(on_road, ROAD, SIDEWALK), np.full(3000, BUILDING)]
    for instance in range(1, objects + 1):
        x = rng.uniform(7, 9) * (1 if instance % 2 else -1) * instance
        for raw, y, size, n in THINGS:
            parts.append(block(rng, (x + rng.uniform(-1, 1), y), size, n))
            words.append(np.full(n, raw | instance << 16))
    points = np.concatenate(parts)
    remission = (rng.permutation(len(points)) / len(points) + number) / 5
    return np.column_stack([points, remission]).astype(np.float32), np.concatenate(words).astype(np.uint32)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three streets; the second one's things have no numbers."""
    root = tmp_path_factory.mktemp("streets")
    for i in range(3):
        points, words = street(i)
        write_frame(root, "00", f"{i:06d}", points, words & 0xFFFF if i == 1 else words)
    return root


STILL: dict[str, Any] = {"drop": 0, "rotate": 0, "flip": False, "scale": (1, 1), "shift": 0}
SETTINGS = ("image", "label_fraction", "label_unit", "unlabelled")


def training_set(root: Path, objects: int, frames: str | None = None, seed: int = 0, **settings: Any) -> TrainingSet:
    """Without augmentation but for ``objects`` pasted ones, and what is given."""
    chosen = SemanticKITTI(root, "00", frames=frames, cameras=settings.pop("cameras", ()))
    rest = {name: settings.pop(name) for name in SETTINGS if name in settings}
    augment = AugmentConfig(**STILL | settings, cutmix=CutmixConfig(objects=objects))
    return TrainingSet(chosen, VOLUME, augment, seed, **rest)


def pasted_into(frame: Frame, donor: Frame, seed: int, objects: int = 30) -> tuple[list[Cutout], list[Cutout]]:
    """Objects of the donor, and those that were pasted."""
    assert frame.labels is not None
    assert frame.objects is not None
    assert donor.objects is not None
    cutouts = extract_objects(donor.scan, donor.objects, 20)
    rng = np.random.default_rng(seed)
    config = CutmixConfig(objects=objects)
    return cutouts, paste(cutouts, frame.scan.points, frame.labels, frame.objects, KITTI, config, VOLUME, rng)


def rectangle(points: np.ndarray) -> np.ndarray:
    return footprint(points).corners()


def test_cutouts_of_a_scan_are_grouped_by_class_and_instance() -> None:
    scan = Scan(np.arange(30, dtype=np.float32).reshape(10, 3), np.arange(10, dtype=np.float32))
    objects = np.array([0, 65537, 131073, 65537, 0, 131073, 131073, 65538, 65537, 0], np.uint32)
    assert [(c.label, c.remission.tolist()) for c in extract_objects(scan, objects, 2)] == [
        (1, [1, 3, 8]),
        (2, [2, 5, 6]),
    ]
    np.testing.assert_array_equal(extract_objects(scan, objects, 1)[1].points, scan.points[[7]])
    assert extract_objects(scan, np.zeros(10, np.uint32), 1) == []


def test_overlap_of_rectangles_equals_point_sampling() -> None:
    """Twin: the one is searched for a point of the other, on a fine grid."""
    rng, answers = np.random.default_rng(0), []
    s, t = (axis.reshape(-1, 1) for axis in np.meshgrid(*[np.linspace(0, 1, 40)] * 2))
    for _ in range(150):
        clouds = rng.uniform(-1, 1, (2, 9, 3)) * rng.uniform(0.2, 2, (2, 1, 3)) + rng.uniform(-3, 3, (2, 1, 3))
        first, second = (footprint(points.astype(np.float32)) for points in clouds)
        corner, beside, _, across = first.corners()
        grid = corner + s * (beside - corner) + t * (across - corner)
        grid = np.hstack([grid, np.zeros_like(grid[:, :1])]).astype(np.float32)
        answers.append(overlap(first.corners(), second.corners()[None]))
        assert second.contains(grid).any() <= answers[-1] <= second.contains(grid, 0.1).any()
    assert 0.1 < np.mean(answers) < 0.9
    assert not overlap(first.corners(), np.zeros((0, 4, 2)))


def test_hidden_points_behind_a_cutout_are_marked() -> None:
    wall = Cutout(
        np.array([[5, y, z] for y in np.arange(-1, 1, 0.02) for z in np.arange(-1, 1, 0.02)], np.float32),
        np.zeros(10_000, np.float32),
        1,
    )
    points = np.array([[9, 0, 0], [4, 0, 0], [9, 4, 0], [9, 0, 3], [-9, 0, 0], [5.1, 0, 0], [40, 7, -7]], np.float32)
    assert occluded(points, [wall]).tolist() == [True, False, False, False, False, False, True]
    assert occluded(points, [wall], load_sensor("hdl-64e").beams).tolist() == occluded(points, [wall]).tolist()
    assert not occluded(points, []).any()


def test_points_behind_a_sparse_cutout_are_hidden_between_its_beams() -> None:
    """Beams 1.3 degrees apart: a wall that was moved up by half a gap hides the points of the beams below and above."""
    beams = load_sensor("hdl-32e").beams
    assert beams is not None
    azimuth = np.radians(np.arange(-20, 20, beams.azimuth_step))

    def scan(distance: float, shift: float) -> np.ndarray:
        az, el = (a.ravel() for a in np.meshgrid(azimuth, np.radians(np.array(beams.elevations[4:28]) + shift)))
        directions = np.stack([np.cos(az) * np.cos(el), np.sin(az) * np.cos(el), np.sin(el)], axis=1)
        return (distance * directions).astype(np.float32)

    wall, behind = scan(5, 0.6), scan(20, 0)[len(azimuth) :]  # not below the lowest beam of the wall
    sparse = Cutout(wall, np.zeros(len(wall), np.float32), 1)
    assert occluded(behind, [sparse], beams).mean() > 0.95
    assert occluded(behind, [sparse]).mean() < 0.75  # with the beams of SemanticKITTI's sensor


def assert_stands(cutout: Cutout, frame: Frame) -> None:
    """On level ground where its kind may be, near a point of it; nothing but ground in its place, up to its top."""
    assert frame.labels is not None
    points, labels, low = frame.scan.points, frame.labels, cutout.points[:, 2].min()
    ground = np.isin(labels, GROUND)
    beneath = ground & footprint(cutout.points).contains(points, 0.5)
    assert abs(low - np.median(points[beneath, 2])) < 0.2
    wanted = {"car", "truck", "other-vehicle", "motorcyclist"}
    allowed = [KITTI.train_id[n] for n in ("road", "parking")] if KITTI.names[cutout.label] in wanted else GROUND
    assert np.isin(labels[beneath], allowed).mean() >= 0.75
    here = footprint(cutout.points).contains(points) & (points[:, 2] < cutout.points[:, 2].max())
    assert not (here & ~ground & (labels > 0)).any()
    assert (points[here, 2] < low + 0.5).all()


def assert_apart(cutouts: list[Cutout], frame: Frame) -> None:
    assert frame.objects is not None
    others = [frame.scan.points[frame.objects == o] for o in np.unique(frame.objects[frame.objects > 0])]
    for i, cutout in enumerate(cutouts):
        rest = [rectangle(p) for p in (*others, *(c.points for c in cutouts[:i]))]
        assert not overlap(rectangle(cutout.points), np.array(rest).reshape(-1, 4, 2))


@pytest.mark.parametrize("seed", range(6))
def test_place_object_puts_it_on_free_ground(drive: Path, seed: int) -> None:
    frames = SemanticKITTI(drive, "00", cameras=())
    _, pasted = pasted_into(frames[0], frames[2], seed)
    assert len(pasted) >= 5
    for cutout in pasted:
        assert_stands(cutout, frames[0])
    assert_apart(pasted, frames[0])


@pytest.mark.parametrize("seed", range(3))
def test_place_object_in_real_scans_puts_it_on_free_ground(real_kitti: Path, seed: int) -> None:
    frames = SemanticKITTI(real_kitti, "00", frames="0-2", cameras=())
    _, pasted = pasted_into(frames[seed], frames[(seed + 1) % 3], seed)
    assert len(pasted) >= 3
    for cutout in pasted:
        assert_stands(cutout, frames[seed])
    assert_apart(pasted, frames[seed])


def test_place_object_rotates_about_the_sensor_and_sets_down(drive: Path) -> None:
    """Distances from the axis, the side that faces it and the remission stay; the height moves as a whole."""
    frames = SemanticKITTI(drive, "00", cameras=())
    cutouts, pasted = pasted_into(frames[0], frames[2], 0)
    original = {float(r): point for c in cutouts for r, point in zip(c.remission, c.points, strict=True)}
    turns = []
    for cutout in pasted:
        before = np.array([original[float(r)] for r in cutout.remission])
        np.testing.assert_allclose(
            np.hypot(before[:, 0], before[:, 1]), np.hypot(cutout.points[:, 0], cutout.points[:, 1]), atol=1e-4
        )
        lifted = cutout.points[:, 2] - before[:, 2]
        np.testing.assert_allclose(lifted, lifted[0], atol=1e-4)
        assert abs(lifted[0]) < 0.75
        a, b = (p[:, 0] + 1j * p[:, 1] for p in (before, cutout.points))
        np.testing.assert_allclose(np.angle(b / a * (a[0] / b[0])), 0, atol=1e-4)
        turns.append(np.angle(b[0] / a[0]))
    assert np.std(turns) > 0.5


def test_cutmix_draws_rare_classes_as_often_as_common_ones(drive: Path) -> None:
    """One bus among forty people: first in about half of the draws."""
    rng = np.random.default_rng(0)
    frame = SemanticKITTI(drive, "00", cameras=())[1]
    assert frame.labels is not None
    assert frame.objects is not None
    people = [Cutout(block(rng, (12, 0), (0.5, 0.5, 1.7), 30).astype(np.float32), np.zeros(30, np.float32), 6)] * 40
    bus = Cutout(block(rng, (12, 0), (2.0, 2.0, 1.7), 30).astype(np.float32), np.zeros(30, np.float32), 5)
    first = []
    for seed in range(40):
        draw = np.random.default_rng(seed)
        nothing = np.zeros_like(frame.objects)
        first += paste(
            [bus, *people], frame.scan.points, frame.labels, nothing, KITTI, CutmixConfig(objects=1), VOLUME, draw
        )
    assert 0.25 < np.mean([cutout.label == 5 for cutout in first]) < 0.75


MOVES = {name: getattr(AugmentConfig(), name) for name in STILL}


@pytest.mark.parametrize("moves", [STILL, MOVES])
def test_cutmix_keeps_the_rest_of_the_sample(drive: Path, moves: dict[str, Any]) -> None:
    """The same points, moved by the same augmentation, in the same order, but for those that are now hidden."""
    frames = "0,2"  # sample 0 gets objects of scan 2, and the other way round
    plain, mixed = (training_set(drive, n, frames, **moves)[(3, 0)] for n in (0, 8))
    foreign = mixed.remission >= 2 / 5
    n = int((~foreign).sum())
    kept = np.isin(plain.remission, mixed.remission)
    assert 0.8 * len(plain.points) < kept.sum() == n < len(plain.points)
    assert foreign[n:].all()
    np.testing.assert_array_equal(mixed.remission[:n], plain.remission[kept])
    np.testing.assert_array_equal(mixed.labels[:n], plain.labels[kept])
    np.testing.assert_allclose(mixed.points[:n], plain.points[kept], atol=1e-4)
    assert set(mixed.labels[n:]) == {KITTI.train_id[name] for name in ("car", "other-vehicle", "person")}
    again = training_set(drive, 8, frames, **moves)
    np.testing.assert_array_equal(again[(3, 0)].points, mixed.points)
    assert again[(4, 0)].points.shape != mixed.points.shape
    assert training_set(drive, 8, frames, seed=1, **moves)[(3, 0)].points.shape != mixed.points.shape


def test_cutmix_pasted_point_keeps_its_label(drive: Path) -> None:
    data = training_set(drive, 8, "0,2")
    donor, sample = data.frames[1], data[(0, 0)]
    assert donor.labels is not None
    label_of = dict(zip(donor.scan.remission.tolist(), donor.labels.tolist(), strict=True))
    foreign = sample.remission >= 2 / 5
    assert foreign.sum() > 100
    assert [label_of[r] for r in sample.remission[foreign].tolist()] == sample.labels[foreign].tolist()


def test_cutmix_of_one_scan_pastes_from_itself(drive: Path) -> None:
    plain, mixed = (training_set(drive, n, "0")[(0, 0)] for n in (0, 8))
    values, counts = np.unique(mixed.remission, return_counts=True)
    assert counts.max() == 2
    assert set(values) <= set(plain.remission)


def test_cutmix_without_instances_pastes_nothing(drive: Path) -> None:
    without = training_set(drive, 8, "1")
    np.testing.assert_array_equal(without[(0, 0)].points, training_set(drive, 0, "1")[(0, 0)].points)
    assert not without.paster.finds_objects()
    assert training_set(drive, 8).paster.finds_objects()
    from_donor = training_set(
        drive, 8, "0-1"
    )  # the donor of sample 0 is scan 1, which has none; sample 1 gets some of scan 0
    assert (from_donor[(0, 0)].remission < 1 / 5).all()
    assert (from_donor[(0, 1)].remission < 1 / 5).any()


def test_cutmix_pastes_vehicles_and_people_only(tmp_path: Path) -> None:
    """A road with an instance is neither pasted nor an obstacle."""
    points, words = street(0)
    write_frame(tmp_path, "00", "000000", points, words)
    numbered = np.where(words >> 16, words, words | 9 << 16)
    write_frame(tmp_path, "01", "000000", points, numbered)
    plain, other = (
        TrainingSet(SemanticKITTI(tmp_path, s, cameras=()), VOLUME, AugmentConfig(cutmix=CutmixConfig(8)), 0)[(0, 0)]
        for s in ("00", "01")
    )
    np.testing.assert_array_equal(plain.points, other.points)


def test_cutmix_with_label_fraction_keeps_hidden_labels_hidden(tmp_path: Path) -> None:
    """Of five scans two show their labels: only they give objects, and only they take some."""
    for i in range(5):
        write_frame(tmp_path, "00", f"{i:06d}", *street(i))
        _write_image(tmp_path, i)
    settings = {"cameras": ("image_2",), "label_fraction": 0.4, "unlabelled": "with_image"}
    data = training_set(tmp_path, 8, **settings, image=ImageConfig(crop=(300, 900)))
    assert [data.frames.ids[i].name[-1] for i in data.entries] == ["0", "3", "1", "2", "4"]
    origins = [{int(r * 5 + 1e-5) for r in data[(0, i)].remission} for i in range(5)]
    assert origins == [{0, 3}, {3, 0}, {1}, {2}, {4}]


def test_cutmix_with_few_labelled_points_pastes_those_only(drive: Path) -> None:
    data = training_set(drive, 8, "0,2", label_fraction=0.5, label_unit="points")
    sample, donor = data[(0, 0)], training_set(drive, 0, "0,2", label_fraction=0.5, label_unit="points")[(0, 1)]
    shown = donor.remission[donor.labels > 0]
    foreign = sample.remission[sample.remission >= 2 / 5]
    assert len(foreign) > 50
    assert np.isin(foreign, shown).all()


def _write_image(root: Path, number: int) -> Path:
    path = root / "sequences" / "00" / "image_2" / f"{number:06d}.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.zeros((370, 1226, 3), np.uint8)).save(path)
    return path


def test_cutmix_reads_no_donor_image_and_pasted_points_have_no_pixel(tmp_path: Path) -> None:
    for i in (0, 2):
        write_frame(tmp_path, "00", f"{i:06d}", *street(i))
    _write_image(tmp_path, 0)
    _write_image(tmp_path, 2).write_bytes(b"damaged")
    settings = {"cameras": ("image_2",), "image": ImageConfig(crop=(300, 900))}
    plain, mixed = (training_set(tmp_path, n, **settings)[(0, 0)] for n in (0, 8))
    foreign = mixed.remission >= 2 / 5
    (before,), (after,) = plain.views, mixed.views
    assert foreign.any()
    assert not foreign[after.pairs.point].any()
    np.testing.assert_array_equal(before.image, after.image)
    there = np.isin(plain.remission[before.pairs.point], mixed.remission)
    np.testing.assert_array_equal(plain.remission[before.pairs.point][there], mixed.remission[after.pairs.point])
    np.testing.assert_array_equal(before.pairs.pixel[there], after.pairs.pixel)


@pytest.mark.parametrize("wrong", [{"objects": -1}, {"fewest": 0}, {"tries": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=rf"augment\.cutmix\.{next(iter(wrong))}"):
        CutmixConfig(**wrong)

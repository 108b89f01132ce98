"""Hold-out and scores of dense labels: by hand, and against slow second implementations."""

import numpy as np
import pytest

from elite.datasets import NuScenes, SemanticKITTI
from elite.errors import ConfigError
from elite.pseudo_labels.holdout import hidden_pixels, hidden_points, parse_holdout
from elite.pseudo_labels.records import DenseLabel, LabelledView, Seeds
from elite.pseudo_labels.rings import find_rings, rings_by_order, rings_of
from elite.pseudo_labels.score import (
    Agreement,
    Borders,
    Objects,
    at_coverage,
    border_tolerance,
    borders,
    nearest_labelled,
)
from elite.sensor import SensorSpec, load_sensor
from elite.types import Camera
from tests.support.semantickitti import KITTI

CAR, PERSON, ROAD, POLE = (KITTI.train_id[name] for name in ("car", "person", "road", "pole"))


def turns(counts: list[int]) -> np.ndarray:
    """Points of one ring after the other, each one turn anticlockwise from straight ahead."""
    angle = np.concatenate([(np.arange(n) + 0.5) / n * 2 * np.pi for n in counts])
    return np.stack([5 * np.cos(angle), 5 * np.sin(angle), np.zeros_like(angle)], axis=1).astype(np.float32)


def test_rings_of_turns_are_found():
    counts = [7, 5, 40, 3]
    np.testing.assert_array_equal(rings_by_order(turns(counts)), np.repeat(np.arange(4), counts))
    assert rings_by_order(np.zeros((0, 3), np.float32)).tolist() == []


def test_rings_of_real_scans_have_the_sensor_count(real_kitti):
    """64 lasers, each at its own elevation, from top to bottom."""
    points = np.fromfile(real_kitti / "sequences/00/velodyne/000000.bin", "<f4").reshape(-1, 4)[:, :3]
    ring = rings_by_order(points)
    elevation = np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1]))
    middle = [np.median(elevation[ring == i]) for i in range(ring.max() + 1)]
    assert len(middle) == 64
    assert (np.diff(middle) < 0).all()


def test_rings_of_a_rendered_street_equal_its_beams():
    from elite.synthetic.scanner import Scanner, beam_angles, beam_rays

    rays = beam_rays(Scanner(tuple(beam_angles(16)), 100, 80.0, 1.73), np.random.default_rng(0))
    np.testing.assert_array_equal(rings_by_order(rays.astype(np.float32)), np.repeat(np.arange(16), 100))


def test_rings_of_real_scans_follow_their_order(real_kitti):
    """Scores at held-out rings are those of before other sensors were supported."""
    frames = SemanticKITTI(real_kitti, "00", frames="0-2", cameras=())
    for i in range(3):
        points = frames.scan(i).points
        np.testing.assert_array_equal(rings_of(frames, i, points), rings_by_order(points))


def test_rings_of_points_in_another_order_follow_the_elevations_of_the_sensor():
    sensor, rng = load_sensor("hdl-32e"), np.random.default_rng(0)
    firing, beam = (index.ravel() for index in np.mgrid[:200, :32])
    elevation = np.radians(np.array(sensor.elevations)[beam] + rng.uniform(-0.6, 0.6, len(beam)))  # steps are 1.33
    azimuth, distance = -2 * np.pi * firing / 200, rng.uniform(3, 50, len(beam))
    x, y = np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation)
    points = (distance[:, None] * np.stack([x, y, np.sin(elevation)], axis=1)).astype(np.float32)
    for order in (np.arange(len(beam)), rng.permutation(len(beam))):
        np.testing.assert_array_equal(find_rings(points[order], sensor), beam[order])
    with pytest.raises(ConfigError, match=r"--holdout rings: expected .*, found unknown\. Describe the sensor"):
        find_rings(points, SensorSpec("unknown"))


def test_rings_of_nuscenes_are_stated_and_equal_those_of_the_elevations(real_nuscenes):
    frames = NuScenes(real_nuscenes, "mini_train")
    points = frames.scan(0).points
    stated, far = rings_of(frames, 0, points), np.linalg.norm(points, axis=1) > 8
    np.testing.assert_array_equal(stated[:64], np.tile(np.arange(32), 2))  # in the order of firing
    np.testing.assert_array_equal(find_rings(points, load_sensor("hdl-32e"))[far], stated[far])


def test_holdout_rules_worked_by_hand():
    ring, rng = np.repeat(np.arange(8), 10), np.random.default_rng(0)
    kept = ~hidden_points(ring, parse_holdout("rings:4"), rng)
    assert np.unique(ring[kept]).tolist() == [0, 4]
    many = np.zeros(10_000, np.int64)
    assert abs(hidden_points(many, parse_holdout("points:0.9"), rng).mean() - 0.9) < 0.01
    assert str(parse_holdout("points:.50")) == "points:0.5"
    for text in ("", "rings", "rings:1", "rings:2.5", "points:0", "points:1", "points:nan", "beams:2", "rings:x"):
        with pytest.raises(ConfigError, match="--holdout: expected rings:K"):
            parse_holdout(text)


def test_holdout_judges_visible_points_only():
    camera = Camera("image_2", np.array([[50, -100, 0, 0], [40, 0, -100, 0], [1, 0, 0, 0]], np.float64))
    points = np.array([[10, 0, 0], [30, 0, 0], [10, 2, 0], [10, -2, 0], [10, 3, 0], [-10, 0, 0]], np.float32)
    labels = np.array([1, 2, 3, 4, 0, 5], np.uint8)
    hide = np.array([False, True, True, False, True, True])
    view = LabelledView(points, labels, np.zeros(6, np.uint16), camera, np.zeros((80, 100, 3), np.uint8))
    pixel, truth = hidden_pixels(view, hide)
    assert pixel.tolist() == [[40, 30]]  # not: behind the kept one, kept, unlabelled, behind the camera
    assert truth.tolist() == [3]


def test_agreement_worked_by_hand():
    truth = np.array([1, 1, 1, 2, 2, 3, 0, 0], np.uint8)
    answer = np.array([1, 1, 2, 2, 0, 0, 4, 0], np.uint8)
    record = Agreement.of(answer, truth, KITTI).to_dict(KITTI)
    assert record["pixels"] == 6
    assert record["coverage"] == pytest.approx(4 / 6)
    assert record["accuracy"] == pytest.approx(3 / 4)
    assert record["accuracy_all"] == pytest.approx(3 / 6)
    assert record["miou"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert record["miou_all"] == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)
    assert record["leak"] == pytest.approx(1 / 2)
    assert set(record["iou"]) == {"car", "bicycle"}


def test_agreement_adds_up_and_is_none_when_empty():
    rng = np.random.default_rng(0)
    answer, truth = rng.integers(0, 20, (2, 2, 500), dtype=np.uint8)
    parts = sum((Agreement.of(a, t, KITTI) for a, t in zip(answer, truth, strict=True)), Agreement())
    assert parts.to_dict(KITTI) == Agreement.of(answer, truth, KITTI).to_dict(KITTI)
    nothing = Agreement().to_dict(KITTI)
    assert (nothing["coverage"], nothing["accuracy"], nothing["leak"]) == (None, None, None)


def test_borders_worked_by_hand():
    """Two classes side by side, the predicted border 3 columns off; unknown is not a class."""
    truth, answer = np.full((6, 20), ROAD, np.uint8), np.full((6, 20), ROAD, np.uint8)
    truth[:, 10:], answer[:, 13:] = CAR, CAR
    assert np.flatnonzero(borders(truth)[0]).tolist() == [9, 10]
    assert Borders.of(answer, truth, tolerance=1.0).to_dict()["boundary_f"] == 0
    assert Borders.of(answer, truth, tolerance=2.0) == Borders(12, 6, 12, 6, 12)
    assert Borders.of(answer, truth, tolerance=3.0).to_dict()["boundary_f"] == 1
    answer[:3] = 0
    half = Borders.of(answer, truth, tolerance=3.0)
    assert half == Borders(6, 6, 6, 6, 12)
    assert half.to_dict()["boundary_f_all"] == pytest.approx(2 / 3)
    assert Borders.of(np.zeros_like(truth), truth).to_dict()["boundary_f"] is None
    assert border_tolerance((376, 1241)) == pytest.approx(2)
    assert border_tolerance((188, 620)) == pytest.approx(1, abs=1e-3)


def test_borders_equal_a_slow_twin():
    rng = np.random.default_rng(1)
    truth, answer = rng.choice(np.array([0, 1, 1, 1, 1, 2], np.uint8), (2, 12, 15))
    near = 1.5

    def edge(label: np.ndarray) -> list[tuple[int, int]]:
        return [
            (r, c)
            for r, c in np.ndindex(label.shape)
            for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0))
            if 0 <= r + dr < 12 and 0 <= c + dc < 15 and 0 != label[r, c] != label[r + dr, c + dc] != 0
        ]

    def close(p: tuple[int, int], others: set[tuple[int, int]]) -> bool:
        return any(np.hypot(p[0] - o[0], p[1] - o[1]) <= near for o in others)

    predicted, true = set(edge(answer)), set(edge(truth))
    judged, covered = {p for p in predicted if truth[p]}, {p for p in true if answer[p]}
    right, found = sum(close(p, true) for p in judged), sum(close(p, predicted) for p in covered)
    assert 0 < right < len(judged)
    assert Borders.of(answer, truth, near) == Borders(len(judged), right, len(covered), found, len(true))


def test_objects_worked_by_hand():
    """A car found with IoU 3/4, a person missed, a car invented; one on unknown ground is not counted."""
    true_label, true_instance = np.zeros((4, 10), np.uint8), np.zeros((4, 10), np.uint16)
    label, instance = true_label.copy(), true_instance.copy()
    true_label[:3] = ROAD
    true_label[0, 0:4], true_instance[0, 0:4] = CAR, 7
    label[0, 0:3], instance[0, 0:3] = CAR, 1
    true_label[1, 0:2], true_instance[1, 0:2] = PERSON, 7
    label[1, 0:2], instance[1, 0:2] = CAR, 2  # the person's pixels, wrong class
    label[2:, 5], instance[2:, 5] = CAR, 3  # half of it on unknown ground: 1 of 2 pixels, not most
    label[3, 7:9], instance[3, 7:9] = CAR, 4  # all of it
    true_label[2, 8:], label[2, 8:], instance[2, 8:] = CAR, CAR, 5  # a car whose object is not recorded
    record = Objects.of(label, instance, true_label, true_instance, KITTI)
    assert (record.matched[CAR], record.invented[CAR], record.missed[CAR]) == (1, 2, 0)
    assert (record.matched[PERSON], record.invented[PERSON], record.missed[PERSON]) == (0, 0, 1)
    assert record.to_dict(KITTI)["pq_of"] == pytest.approx({"car": 0.75 / 2, "person": 0})
    assert record.to_dict(KITTI)["pq"] == pytest.approx(0.75 / 4)
    twice = (record + record).to_dict(KITTI)
    assert twice["pq"] == record.to_dict(KITTI)["pq"]
    assert twice["objects"] == 4
    assert Objects().to_dict(KITTI)["pq"] is None


def slow_pq(label: np.ndarray, instance: np.ndarray, true_label: np.ndarray, true_instance: np.ndarray) -> dict:
    """Every pair of objects as sets of pixels, the definition word for word."""

    def objects(kinds: np.ndarray, ids: np.ndarray) -> dict[tuple[int, int], set]:
        found: dict[tuple[int, int], set] = {}
        for p in np.ndindex(kinds.shape):
            if ids[p] and int(kinds[p]) in KITTI.things:
                found.setdefault((int(kinds[p]), int(ids[p])), set()).add(p)
        return found

    void = {p for p in np.ndindex(true_label.shape) if true_label[p] == 0}
    mine, theirs = objects(label, instance), objects(true_label, true_instance)
    pairs = {
        (m, t): len(a & b) / len((a | b) - void) for m, a in mine.items() for t, b in theirs.items() if m[0] == t[0]
    }
    matched = {pair: iou for pair, iou in pairs.items() if iou > 0.5}
    spared = {
        m
        for m, a in mine.items()
        if len(a & (void | {p for p in a if true_label[p] == m[0] and not true_instance[p]})) > len(a) / 2
    }
    scores = {}
    for kind in KITTI.things:
        tp = [iou for (m, _), iou in matched.items() if m[0] == kind]
        fp = [m for m in mine if m[0] == kind and m not in spared and m not in {a for a, _ in matched}]
        fn = [t for t in theirs if t[0] == kind and t not in {b for _, b in matched}]
        if tp or fp or fn:
            scores[kind] = sum(tp) / (len(tp) + (len(fp) + len(fn)) / 2)
    return scores


def test_objects_equal_a_slow_twin():
    rng = np.random.default_rng(2)
    true_label = np.kron(rng.choice(np.array([0, CAR, PERSON, ROAD], np.uint8), (5, 6)), np.ones((4, 4), np.uint8))
    true_instance = np.kron(rng.integers(0, 3, (5, 6), dtype=np.uint16), np.ones((4, 4), np.uint16))
    noise = rng.random(true_label.shape) < 0.2
    label = np.where(noise, rng.choice(np.array([0, CAR, PERSON], np.uint8), noise.shape), true_label)
    instance = np.where(np.roll(noise, 3), 1, true_instance).astype(np.uint16)
    record = Objects.of(label, instance, true_label, true_instance, KITTI)
    slow = slow_pq(label, instance, true_label, true_instance)
    assert record.matched.sum() > 1
    assert record.to_dict(KITTI)["pq"] == pytest.approx(np.mean(list(slow.values())))


def test_baseline_equals_brute_force_at_equal_coverage():
    rng = np.random.default_rng(3)
    size = (9, 11)
    pixel = np.stack(np.unravel_index(rng.choice(99, 6, replace=False), size), axis=1)
    seeds = Seeds(
        pixel,
        np.array([0, 0, 0, 1, 1, 2]),
        np.ones(6),
        np.array([CAR, POLE, CAR], np.uint8),
        np.array([7, 0, 300], np.uint16),
        size,
    )
    dense = nearest_labelled(seeds)
    for p in np.ndindex(size):
        away = np.square(pixel - p).sum(axis=1)
        ties = seeds.segment[away == away.min()]
        assert (dense.label[p], dense.instance[p]) in {(seeds.label[s], seeds.instance[s]) for s in ties}
    other = DenseLabel(rng.integers(0, 2, size, dtype=np.uint8), np.zeros(size, np.uint16), 5)
    same = at_coverage(dense, other)
    np.testing.assert_array_equal(same.label > 0, other.label > 0)
    np.testing.assert_array_equal(same.label[other.label > 0], dense.label[other.label > 0])
    nothing = Seeds(pixel[:0], seeds.segment[:0], np.ones(0), seeds.label[:0], seeds.instance[:0], size)
    assert not nearest_labelled(nothing).label.any()

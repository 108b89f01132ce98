"""Pseudo-labels: seeds, prompts, vote, the released procedure, and generation for a data set."""

import json
import os
import shutil
import signal
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from elite.cli import main
from elite.config import AugmentConfig, ImageConfig, PseudoLabelConfig, StudentConfig, VoteConfig
from elite.data.dataset import TrainingSet
from elite.datasets import SemanticKITTI
from elite.datasets.dense_labels import read_dense
from elite.errors import ConfigError, DataError, OutputError
from elite.figures import stack_panels
from elite.layout import Layout
from elite.pictures import palette, tinted
from elite.pseudo_labels import generate, label_image, open_proposer
from elite.pseudo_labels.lift import lift
from elite.pseudo_labels.pictures import picture
from elite.pseudo_labels.prompts import PromptScheduler
from elite.pseudo_labels.records import DenseLabel, LabelledView, Masks, Prompt, Seeds, view_of
from elite.pseudo_labels.released import boxes, draw_points, grid_seeds, label_image_released, suppress
from elite.pseudo_labels.seeds import find_seeds, group, row_gap
from elite.pseudo_labels.vote import Regions, accept_regions, paint_regions
from elite.types import Camera, PointPixelPairs
from tests.support.processes import Trial, start_two
from tests.support.scans import CALIBRATION, random_scan, write_frame
from tests.support.semantickitti import KITTI
from tests.support.streets import small_drive
from tests.support.taxonomies import FIVE

CAR, PERSON, ROAD, BUILDING = (KITTI.train_id[name] for name in ("car", "person", "road", "building"))


class Oracle:
    """Knows the true regions: a prompt's answers are the region of its point, and everything (a bad mask)."""

    def __init__(self, truth: np.ndarray, most: int | None = 75) -> None:
        self.truth, self.max_prompts = truth, most
        self.seen: list[tuple[int, int]] = []

    def open(self, image: np.ndarray, seeds: Seeds) -> "Oracle":
        return self

    def propose(self, prompts: list[Prompt]) -> Masks:
        self.seen += [tuple(p.points[0]) for p in prompts]
        regions = [self.truth == self.truth[tuple(p.points[0])] for p in prompts]
        inside = np.stack([m for region in regions for m in (region, np.ones_like(region))])
        order = np.repeat(np.arange(len(prompts)), 2)
        return Masks(order, inside, np.ones(len(order), np.float32), np.ones(len(order), np.float32))

    def describe(self) -> dict[str, Any]:
        return {"name": "oracle"}


class FromAfar(Oracle):
    """A proposer in a file of its own: ``tests.test_pseudo_labels:FromAfar``."""

    def __init__(self) -> None:
        super().__init__(np.zeros((120, 400), int))


def seeds_of(truth: np.ndarray, share: float, labels: list[int], objects: list[int] | None = None) -> Seeds:
    """Seeds at some pixels of a map of regions 0, 1, ...; ``labels[region]`` is its class."""
    pixel = np.argwhere(np.random.default_rng(0).random(truth.shape) < share)
    region = truth[tuple(pixel.T)]
    instance = np.array(objects or [0] * len(labels), np.uint16)[region]
    return group(pixel, np.array(labels, np.uint8)[region], instance, np.ones(len(pixel)), truth.shape)


# ---- seeds ------------------------------------------------------------------------------------------------------


def test_find_seeds_segment_is_an_object_or_a_connected_patch():
    rows, columns = np.meshgrid(np.arange(0, 40, 4), np.arange(0, 200, 2), indexing="ij")
    pixel = np.stack([rows.ravel(), columns.ravel()], axis=1)
    label = np.where(pixel[:, 1] < 60, ROAD, np.where(pixel[:, 1] < 120, CAR, ROAD)).astype(np.uint8)
    instance = np.where(label == CAR, np.where(pixel[:, 1] < 80, 65535, 1), 0).astype(np.uint16)
    assert row_gap(pixel) == 4
    seeds = group(pixel, label, instance, np.ones(len(pixel)), (40, 200))
    found = {tuple(map(int, row)) for row in zip(seeds.label, seeds.instance, np.bincount(seeds.segment), strict=True)}
    assert found == {(ROAD, 0, 400), (ROAD, 0, 300), (CAR, 65535, 100), (CAR, 1, 200)}
    assert (np.diff(np.bincount(seeds.segment)) <= 0).all()  # by falling size
    assert len(seeds.entity_label) == 3  # the road is one thing in two patches
    assert (seeds.entity_label[seeds.entity] == label).all()
    assert (seeds.entity_instance[seeds.entity] == instance).all()


def test_find_seeds_separates_equal_instance_ids_of_other_classes():
    pixel = np.array([[0, 0], [0, 1], [0, 2]])
    seeds = group(pixel, np.array([CAR, PERSON, CAR], np.uint8), np.full(3, 7, np.uint16), np.ones(3), (1, 3))
    assert len(seeds.label) == len(seeds.entity_label) == 2
    assert seeds.segment[0] == seeds.segment[2] != seeds.segment[1]


def test_find_seeds_unlabelled_points_occlude_and_are_no_seeds():
    camera = Camera("image_2", np.array([[100.0, 0, 50, 0], [0, 100, 50, 0], [0, 0, 1, 0]]))
    points = np.array([[0, 0, 10], [0, 0, 5], [3, 0, 10]], np.float32)
    labels = np.array([BUILDING, 0, ROAD], np.uint8)
    image = np.zeros((100, 100, 3), np.uint8)
    seeds = find_seeds(LabelledView(points, labels, np.zeros(3, np.uint16), camera, image))
    assert seeds.pixel.tolist() == [[50, 80]]
    assert seeds.label.tolist() == [ROAD]
    assert seeds.depth.tolist() == [10]


# ---- prompts ----------------------------------------------------------------------------------------------------


def test_prompts_are_farthest_points_outside_covered_ones():
    rng = np.random.default_rng(1)
    pixel = rng.integers(0, 100, (60, 2))
    seeds = Seeds(pixel, np.zeros(60, int), np.ones(60), np.array([ROAD], np.uint8), np.zeros(1, np.uint16), (100, 100))
    covered = rng.random(60) < 0.3
    prompts = PromptScheduler(seeds, max_prompts=20)
    asked = [prompts.next(covered, 1)[0].points[0] for _ in range(8)]
    off = ((pixel - pixel.mean(0)) ** 2).sum(1)
    chosen = [pixel[min(np.flatnonzero(~covered), key=lambda i: off[i])]]
    for _ in range(7):  # the slow way
        apart = [min(np.hypot(*(p - q)) for q in chosen) if not c else -1 for p, c in zip(pixel, covered, strict=True)]
        chosen.append(pixel[int(np.argmax(apart))])
    np.testing.assert_array_equal(asked, chosen)


def test_prompts_visit_every_segment_before_any_twice():
    truth = np.repeat(np.arange(5), 20)[None].repeat(30, 0)
    seeds = seeds_of(truth, 0.2, [ROAD, CAR, CAR, BUILDING, PERSON], [0, 1, 2, 0, 1])
    prompts = PromptScheduler(seeds, max_prompts=8)
    rounds = []
    while asked := prompts.next(np.zeros(len(seeds), bool), 3):
        rounds.append([p.segment for p in asked])
    assert sorted(rounds[0] + rounds[1][:2]) == [0, 1, 2, 3, 4]
    assert sum(map(len, rounds)) == prompts.count == 8
    size = np.bincount(seeds.segment)
    alone = PromptScheduler(seeds, max_prompts=None, min_seeds=int(size[3]))  # the smallest segment is not worth it
    everyone = [[p.segment for p in alone.next(np.zeros(len(seeds), bool), 3)] for _ in range(3)]
    assert everyone == [[0, 1, 2], [3, *[4] * int(size[4] >= size[3])], []]


# ---- vote -------------------------------------------------------------------------------------------------------


def row_seeds(labels: list[int], instance: list[int] | None = None) -> Seeds:
    """One seed per column of an image of one row."""
    pixel = np.stack([np.zeros(len(labels), int), np.arange(len(labels))], axis=1)
    objects = np.array(instance or [0] * len(labels), np.uint16)
    return group(pixel, np.array(labels, np.uint8), objects, np.ones(len(labels)), (1, len(labels)))


def masks_of(*inside: list[int], iou: float = 1.0, stability: float = 1.0) -> Masks:
    n = len(inside)
    full = np.array(inside, bool)[:, None]
    return Masks(np.arange(n), full, np.full(n, iou, np.float32), np.full(n, stability, np.float32))


def test_judge_region_takes_the_majority_of_enough_pure_seeds():
    seeds = row_seeds([CAR, CAR, CAR, ROAD, ROAD, CAR], [1, 1, 2, 0, 0, 2])
    rules = VoteConfig(support=2, purity=0.6)
    regions = accept_regions(
        masks_of([1, 1, 0, 1, 0, 0], [1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0], [1, 0, 0, 0, 0, 0]), seeds, rules
    )
    shown = [(int(seeds.entity_label[t]), int(seeds.entity_instance[t])) for t in regions.entity]
    assert shown == [(CAR, 1), (CAR, 1), (ROAD, 0)]  # the last one has too little support
    np.testing.assert_allclose(regions.purity, [2 / 3, 2 / 3, 1])  # another car is as impure as the road
    assert len(accept_regions(masks_of([1, 1, 0, 0, 0, 0], stability=0.5), seeds, rules)) == 0
    assert len(accept_regions(masks_of([1, 1, 0, 0, 0, 0], iou=0.2), seeds, rules)) == 0


def test_paint_takes_the_best_region_and_keeps_seed_labels():
    seeds = replace(row_seeds([CAR, ROAD]), pixel=np.array([[0, 0], [0, 9]]), size=(1, 10))
    inside = np.zeros((2, 1, 10), bool)
    inside[0, 0, :], inside[1, 0, 4:8] = True, True
    regions = Regions(inside, np.array([0, 1]), np.ones(2), np.array([0.8, 0.9]))
    label, _ = paint_regions(regions, seeds)
    assert label[0].tolist() == [CAR] * 4 + [ROAD] * 4 + [CAR, ROAD]


def test_paint_leaves_pixels_nearer_to_another_seed():
    """A car's region that runs over a seed of the road: the pixels around that stay free."""
    seeds = replace(row_seeds([CAR, ROAD, CAR]), pixel=np.array([[0, 0], [0, 4], [0, 9]]), size=(1, 12))
    regions = Regions(np.ones((1, 1, 12), bool), seeds.entity[:1], np.array([2 / 3]), np.ones(1))
    label, _ = paint_regions(regions, seeds)
    slow = [min((abs(x - c), t) for c, t in ((0, CAR), (4, ROAD), (9, CAR)))[1] for x in range(12)]
    assert [value or ROAD for value in label[0]] == slow
    assert label[0].tolist() == [CAR] * 3 + [0, ROAD, 0, 0] + [CAR] * 5


def test_label_image_with_a_perfect_proposer_gives_the_ground_truth():
    truth = np.add.outer(np.arange(60) // 20, 3 * (np.arange(90) // 30))
    labels, objects = [ROAD, CAR, CAR, BUILDING, PERSON, ROAD, CAR, BUILDING, PERSON], [0, 1, 2, 0, 1, 0, 65535, 0, 2]
    seeds, oracle = seeds_of(truth, 0.1, labels, objects), Oracle(truth)
    dense, regions = label_image(np.zeros((60, 90, 3), np.uint8), seeds, oracle, PseudoLabelConfig())
    np.testing.assert_array_equal(dense.label, np.array(labels)[truth])
    np.testing.assert_array_equal(dense.instance, np.array(objects)[truth])
    assert dense.prompts == len(oracle.seen) == len(seeds.label)  # one each: all seeds are covered then
    assert len(regions) == 9


def test_label_image_without_seeds_stays_unlabelled():
    seeds = seeds_of(np.zeros((8, 8), int), 0.0, [ROAD])
    dense, regions = label_image(np.zeros((8, 8, 3), np.uint8), seeds, Oracle(np.zeros((8, 8))), PseudoLabelConfig())
    assert (dense.label.max(), dense.prompts, len(regions)) == (0, 0, 0)


# ---- the released procedure -------------------------------------------------------------------------------------


def test_suppress_equals_a_slow_loop():
    rng = np.random.default_rng(0)
    corner = rng.integers(0, 40, (80, 2))
    box, score = np.hstack([corner, corner + rng.integers(5, 30, (80, 2))]), rng.random(80)
    kept: list[int] = []
    for i in np.argsort(-score):
        cells = [set(map(tuple, np.argwhere(_drawn(box[j])))) for j in (i, *kept)]
        if all(len(cells[0] & c) / len(cells[0] | c) <= 0.7 for c in cells[1:]):
            kept.append(int(i))
    assert suppress(box, score).tolist() == kept
    inside = np.stack([_drawn(b) for b in box])
    np.testing.assert_array_equal(boxes(inside), box)


def _drawn(box: np.ndarray) -> np.ndarray:
    canvas = np.zeros((80, 80), bool)
    canvas[box[0] : box[2], box[1] : box[3]] = True
    return canvas


def test_released_procedure_worked_by_hand():
    """512 x 512: cells of 2 x 2 pixels, of which the lower right one counts."""
    camera = Camera("image_2", np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]))
    u, v = np.array([1.0, 3, 3, 8, 301]), np.array([1.0, 1, 1, 8, 301])
    points = np.stack([u, v, np.ones(5)], axis=1).astype(np.float32) + np.float32([0.5, 0.5, 0])
    labels, objects = np.array([CAR, ROAD, CAR, CAR, 0], np.uint8), np.array([3, 0, 4, 3, 0], np.uint16)
    view = LabelledView(points, labels, objects, camera, np.zeros((512, 512, 3), np.uint8))
    drawn, instance = draw_points(view)
    assert drawn[1, 3] == CAR  # the last point wins
    assert drawn[301, 301] == 0
    assert drawn[0, 0] == -1
    seeds = grid_seeds(drawn, instance)
    assert sorted(map(tuple, seeds.pixel.tolist())) == [(1, 1), (1, 3)]  # (8, 8) is lost, class 0 gives no prompt
    truth = np.zeros((512, 512), int)
    truth[256:] = 1
    dense, _, _ = label_image_released(view, Oracle(truth))
    assert dense.prompts == 2
    assert dense.label[0, 0] == CAR  # of the four drawn labels three are cars: the whole image becomes one
    assert dense.instance[0, 500] == 3  # of the cars' labels two of three are of this one
    assert dense.label[301, 301] == CAR  # even where a point of class 0 was


# ---- back to the points -----------------------------------------------------------------------------------------


def test_lift_fills_unlabelled_points_where_image_and_space_agree():
    """Points 0, 1, 2 have labels; 3 is near 1, 4 near 2, 5 near 0, 6 is not in view."""
    x = [0.0, 10.0, 20.0, 10.4, 20.4, 0.4, 10.2]
    points = np.array([[value, 0, 0] for value in x], np.float32)
    labels = np.array([ROAD, CAR, PERSON, 0, 0, 0, 0], np.uint8)
    instance = np.array([0, 5, 3, 0, 0, 0, 0], np.uint16)
    pairs = PointPixelPairs(np.array([0, 3, 4, 5]), np.array([[0, 0], [0, 1], [0, 2], [0, 3]]))
    left = np.array([[CAR, CAR, 0, CAR]], np.uint8), np.array([[5, 5, 0, 5]], np.uint16)
    right = np.array([[PERSON, PERSON, PERSON, PERSON]], np.uint8), np.array([[1, 2, 3, 4]], np.uint16)
    found, objects = lift(points, labels, instance, [(pairs, *left), (pairs, *right)])
    assert found.tolist() == [ROAD, CAR, PERSON, CAR, PERSON, 0, 0]
    assert objects.tolist() == [0, 5, 3, 5, 3, 0, 0]
    assert labels.tolist()[3:] == [0, 0, 0, 0]  # nothing is written into what was given
    nothing, _ = lift(points, np.zeros(7, np.uint8), instance, [(pairs, *left)])
    assert not nothing.any()


# ---- a whole data set -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def drive() -> Path:
    """Two streets of a few small frames."""
    return small_drive()


@pytest.fixture
def own_drive(drive: Path, tmp_path: Path) -> Path:
    root = tmp_path / "drive"
    shutil.copytree(drive, root)
    return root


def pseudo_label_argv(root: Path, out: Path) -> list[str]:
    return ["pseudo-label", str(root), "--out", str(out), "--sequences", "00,08"]


def run(root: Path, out: Path, *options: str) -> int:
    return main([*pseudo_label_argv(root, out), *options])


def contents(root: Path) -> dict[str, bytes]:
    """Every PNG and label file below a folder."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.suffix in (".png", ".label")}


def test_generate_rerun_makes_missing_damaged_or_outdated_files_only(drive: Path, tmp_path: Path):
    out, report = tmp_path / "out", tmp_path / "report.json"
    assert run(drive, out, "--lift", "true", "--json", str(report)) == 0
    first, layout = contents(out), Layout(out)
    counts = json.loads(report.read_text())
    assert (counts["made"], counts["kept"], counts["failures"]) == (8, 0, [])
    assert len(first) == 3 * 8

    layout.dense_files("00", "000001", "image_2_pseudo").instance.write_bytes(b"half a PNG")
    layout.dense_files("00", "000002", "image_2_pseudo").record.unlink()
    layout.dense_files("08", "000000", "image_2_pseudo").semantic.unlink()
    assert run(drive, out, "--lift", "true", "--json", str(report)) == 0
    assert [json.loads(report.read_text())[key] for key in ("made", "kept")] == [3, 5]
    assert contents(out) == first
    assert run(drive, out, "--lift", "true", "--json", str(report)) == 0
    assert json.loads(report.read_text())["made"] == 0
    assert run(drive, out, "--lift", "true", "--vote.purity", "0.7", "--json", str(report)) == 0
    assert json.loads(report.read_text())["made"] == 8


def test_generate_writes_provenance_and_small_files(drive: Path, tmp_path: Path):
    run(drive, tmp_path, "--frames", "0")
    record = json.loads(Layout(tmp_path).dense_files("00", "000000", "image_2_pseudo").record.read_text())
    assert record["settings"]["proposer"]["name"] == "watershed"
    assert record["settings"]["strategy"] == "segments"
    assert {"elite", "commit"} <= set(record["versions"])
    raw, instance = read_dense(Layout(tmp_path), "00", "000000", "image_2_pseudo")
    assert raw.shape == instance.shape == (90, 300)
    assert record["coverage"] == pytest.approx((raw > 0).mean())
    assert 0.2 < record["coverage"] < 0.95  # sky stays unknown


def test_generate_with_pictures_writes_one_per_image_once(drive: Path, tmp_path: Path):
    assert run(drive, tmp_path, "--frames", "0", "--cameras", "image_2", "--pictures") == 0
    (picture, _) = pictures = sorted(tmp_path.rglob("pictures/*.png"))
    before = [path.stat().st_mtime_ns for path in pictures]
    with Image.open(picture) as image:
        assert image.width == 2 * 300  # enlarged, so that the titles fit
        assert image.height > 5 * (2 * 90 + 30)  # five panels with titles, and a legend
    assert run(drive, tmp_path, "--frames", "0", "--cameras", "image_2", "--pictures") == 0
    assert [path.stat().st_mtime_ns for path in pictures] == before


def test_picture_of_other_classes_has_their_colours():
    label = np.repeat(np.array([[1, 4, 0]], np.uint8), 30, 0).repeat(160, 1)
    pixel = np.array([[15, 80], [15, 240]])
    labels = np.array([1, 4], np.uint8)
    seeds = Seeds(pixel, np.arange(2), np.ones(2), labels, np.zeros(2, np.uint16), (30, 480))
    regions = Regions(label[None] == 1, np.zeros(1, int), np.ones(1), np.ones(1))
    image = np.full((30, 480, 3), 100, np.uint8)
    drawn = picture(image, seeds, regions, DenseLabel(label, np.zeros((30, 480), np.uint16), 1), FIVE)
    colors = palette(FIVE)
    points, pseudo = drawn[60 + 30 : 120], drawn[4 * 60 - 30 : 4 * 60]
    assert [(points == colors[i]).all(axis=2).any() for i in range(6)] == [False, True, False, False, True, False]
    np.testing.assert_array_equal(pseudo, tinted(image, label, colors))
    assert [(drawn[300:] == colors[i]).all(axis=2).any() for i in range(6)] == [False, True, False, False, True, False]


def test_picture_of_a_small_image_is_enlarged_by_a_whole_factor():
    image = np.arange(4 * 150 * 3, dtype=np.uint8).reshape(4, 150, 3)
    drawn = stack_panels({"a title that does not fit into 150 pixels": image}, [], FIVE)
    np.testing.assert_array_equal(drawn[30::3, ::3], image)
    assert drawn.shape == (30 + 3 * 4, 3 * 150, 3)


def test_lifted_labels_keep_known_labels_and_add_those_of_the_image(drive: Path, tmp_path: Path):
    run(drive, tmp_path, "--frames", "0", "--lift", "true", "--label-fraction", "0.05", "--label-unit", "points")
    truth, lifted = (
        KITTI.to_train(np.fromfile(Layout(root).labels("00", "000000", folder), np.uint32) & 0xFFFF)
        for root, folder in ((drive, "labels"), (tmp_path, "labels_pseudo"))
    )
    known = lifted > 0
    assert 0.07 < known.mean() < 0.5  # more than 5 %, but only what the camera sees
    assert (lifted[known] == truth[known]).mean() > 0.9


def test_generate_with_few_labels_keeps_small_objects(drive: Path, tmp_path: Path):
    """A region must hold three labelled pixels, of a share of the labels as large a share of three."""
    few = ("--frames", "3", "--label-fraction", "0.05", "--label-unit", "points")
    run(drive, tmp_path / "few", *few)
    run(drive, tmp_path / "three", *few, "--vote.support", "60")
    counts = {}
    for name in ("few", "three"):
        raw, _ = read_dense(Layout(tmp_path / name), "00", "000003", "image_2_pseudo")
        counts[name] = np.bincount(KITTI.to_train(raw).ravel(), minlength=20)[1:]
    seen = counts["few"] > 0
    assert (counts["few"][seen] > 10).mean() > 0.8
    assert (counts["three"][seen] > 10).mean() < 0.5


def test_generate_changed_source_regenerates_lifted_labels(own_drive: Path, tmp_path: Path):
    """Other labels, a damaged file, and another run in between: each is noticed."""
    lifted = Layout(tmp_path).labels("00", "000000", "labels_pseudo")
    few = ["--label-fraction", "0.05", "--label-unit", "points"]
    run(own_drive, tmp_path, "--frames", "0", "--lift")
    whole = lifted.read_bytes()
    lifted.write_bytes(b"1")
    run(own_drive, tmp_path, "--frames", "0", "--lift")
    assert lifted.read_bytes() == whole
    run(own_drive, tmp_path, "--frames", "0", *few)
    run(own_drive, tmp_path, "--frames", "0", *few, "--lift")
    assert lifted.read_bytes() != whole
    words = np.fromfile(lifted, np.uint32)
    assert not (words[(words & 0xFFFF) == 0] >> 16).any()  # hidden points keep no instance either


def test_generate_changed_image_or_calibration_regenerates_the_label(own_drive: Path, tmp_path: Path):
    report, layout = tmp_path / "report.json", Layout(own_drive)
    run(own_drive, tmp_path / "out")
    image = layout.image("00", "000001", "image_2")
    Image.fromarray(np.asarray(Image.open(image))[:, ::-1]).save(image)
    calibration = layout.calibration("08")
    calibration.write_text(calibration.read_text() + "\n")
    run(own_drive, tmp_path / "out", "--json", str(report))
    assert json.loads(report.read_text())["made"] == 1 + 4


def test_generate_foreign_labels_are_never_overwritten(own_drive: Path):
    layout = Layout(own_drive)
    mine = layout.dense_files("00", "000000", "image_2_mine").semantic
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"by hand")
    with pytest.raises(ConfigError, match="may be ground truth"):
        generate(own_drive, PseudoLabelConfig(folder="mine"), Oracle(np.zeros((90, 300))))
    assert mine.read_bytes() == b"by hand"
    for settings in ({"folder": "labels"}, {"labels": "labels_pseudo"}, {"label_fraction": 0.5}):
        with pytest.raises(ConfigError, match=r"^(folder|labels|sequences): expected"):
            PseudoLabelConfig(**settings)


class Broken(Oracle):
    def propose(self, prompts: list[Prompt]) -> Masks:
        raise RuntimeError("out of memory")


def test_generate_failing_proposer_is_reported(drive: Path, tmp_path: Path):
    config = PseudoLabelConfig(out=tmp_path, sequences="00")
    summary = generate(drive, config, Broken(np.zeros((90, 300))))
    assert (summary.made, len(summary.failures)) == (0, 4)
    assert "out of memory" in summary.failures[0]


def test_training_set_with_pseudo_labels_of_another_fraction_is_refused(drive: Path, own_drive: Path):
    few = {"label_fraction": 0.05, "label_unit": "points"}
    frames = SemanticKITTI(own_drive, "00")
    run(own_drive, own_drive)
    arguments = frames, StudentConfig().volume, AugmentConfig(), 0
    image = ImageConfig(crop=(64, 128))
    with pytest.raises(ConfigError, match=r"data\.label_fraction allows"):
        TrainingSet(*arguments, image=image, dense_labels="image_2_pseudo", **few)
    run(own_drive, own_drive, "--label-fraction", "0.05", "--label-unit", "points")
    shown = TrainingSet(*arguments, image=image, dense_labels="image_2_pseudo", **few)[0, 0]
    assert shown.views[0].labels is not None
    assert shown.views[0].labels.any()


@pytest.fixture(scope="module")
def complete(drive: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Contents of the files of one undisturbed run."""
    out = tmp_path_factory.mktemp("complete")
    assert run(drive, out) == 0
    return contents(out)


def kill_at_the_eighth_file() -> None:
    """In the process of a command, before it begins."""
    put_in_place, files = Path.replace, count(1)

    def killed(path: Path, target: Path) -> Path:
        if next(files) == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return put_in_place(path, target)

    Path.replace = killed  # type: ignore[method-assign, assignment]


def test_pseudo_label_killed_then_rerun_completes_the_files(drive: Path, tmp_path: Path, complete: dict[str, bytes]):
    out = tmp_path / "out"
    process = Trial(pseudo_label_argv(drive, out), tmp_path / "log", kill_at_the_eighth_file)
    assert process.wait() == -signal.SIGKILL, process.output()
    assert 0 < len(contents(out)) < len(complete)
    assert run(drive, out) == 0
    assert contents(out) == complete


def test_pseudo_label_with_two_processes_equals_one(drive: Path, tmp_path: Path, complete: dict[str, bytes]):
    both = start_two(pseudo_label_argv(drive, tmp_path / "out"), tmp_path / "log")
    assert [process.wait() for process in both] == [0, 0], [process.output() for process in both]
    assert sum(process.output().count("8 images labelled") for process in both) == 1
    assert contents(tmp_path / "out") == complete


def test_pseudo_label_two_runs_on_one_folder_write_the_same_files(
    drive: Path, tmp_path: Path, complete: dict[str, bytes]
):
    out = tmp_path / "out"
    both = [Trial(pseudo_label_argv(drive, out), tmp_path / f"log{i}") for i in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert contents(out) == complete
    assert not [path for path in out.rglob(".*") if path.is_file()]  # nothing half-written is left


def test_pseudo_label_failing_frame_is_reported_and_others_are_made(own_drive: Path, tmp_path: Path, capsys: Any):
    layout = Layout(own_drive)
    layout.image("00", "000001", "image_2").write_bytes(b"no PNG")
    layout.image("00", "000002", "image_2").unlink()  # an absent image is not an error
    layout.scan("08", "000000").write_bytes(b"0" * 24)
    report = tmp_path / "report.json"
    assert run(own_drive, tmp_path / "out", "--json", str(report)) == 1
    counts = json.loads(report.read_text())
    assert counts["made"] == 5
    assert [f.split(" ")[0] for f in counts["failures"]] == ["00/000001", "08/000000"]
    assert "Re-extract" in capsys.readouterr().err


def test_score_pseudo_labels_compares_methods_on_the_same_pixels(drive: Path, tmp_path: Path):
    report, config = tmp_path / "score.json", tmp_path / "few.yaml"
    config.write_text("sequences: '00'\nframes: 0,2\n")
    options = ["--holdout", "rings:2,points:0.5", "--config", str(config), "--json", str(report)]
    assert main(["score-pseudo-labels", str(drive), *options]) == 0
    result = json.loads(report.read_text())
    assert (result["frames"], result["images"]) == (2, 2)
    assert set(result["tests"]) == {"rings:2", "points:0.5", "dense"}
    truth = [read_dense(Layout(drive), "00", name, "image_2_labels")[0] for name in ("000000", "000002")]
    for test, methods in result["tests"].items():
        at_equal = {"nearest_at_segments", "nearest_at_released", "segments_at_released"}
        assert set(methods) == {"nearest", "segments", "released"} | at_equal
        assert len({m["pixels"] for m in methods.values()}) == 1
        assert methods["nearest"]["coverage"] == 1
        for method in ("segments", "released"):
            assert methods[method]["coverage"] == methods[f"nearest_at_{method}"]["coverage"] > 0
        assert methods["segments_at_released"]["coverage"] <= methods["released"]["coverage"]
        assert ("pq" in methods["segments"]) == (test == "dense")
    assert result["tests"]["dense"]["nearest"]["pixels"] == sum(int((KITTI.to_train(t) > 0).sum()) for t in truth)


def test_holdout_removes_points_with_their_labels(drive: Path):
    frame = SemanticKITTI(drive, "00", frames="0")[0]
    hide = np.random.default_rng(0).random(len(frame.scan)) < 0.5
    rest = view_of(frame, frame.cameras[0]).without(hide)
    np.testing.assert_array_equal(rest.points, frame.scan.points[~hide])
    np.testing.assert_array_equal(rest.labels, frame.labels[~hide])
    np.testing.assert_array_equal(rest.instance, np.where(frame.labels > 0, frame.objects & 0xFFFF, 0)[~hide])
    assert rest.instance.any()


def frame_with(tmp_path: Path, raw: int, size: tuple[int, int], instance: int = 0) -> Path:
    """A scan of one class, and an image of so many rows and columns."""
    points = random_scan(np.random.default_rng(0), 4000)
    write_frame(tmp_path, "00", "000000", points, np.full(4000, raw | instance << 16))
    folder = tmp_path / "sequences" / "00" / "image_2"
    folder.mkdir()
    pinhole = f"P2: {size[1] / 2} 0 {size[1] / 2} 0 0 {size[1] / 2} {size[0] / 2} 0 0 0 1 0"
    lines = [pinhole if line.startswith("P2") else line for line in CALIBRATION.splitlines()]
    (folder.parent / "calib.txt").write_text("\n".join(lines))
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "000000.png")
    return tmp_path


@pytest.mark.parametrize("size", [(370, 1226), (600, 120), (3, 2)], ids=["landscape", "portrait", "tiny"])
@pytest.mark.parametrize(("raw", "instance"), [(10, 65535), (40, 0), (0, 0)], ids=["one giant car", "road", "nothing"])
def test_pseudo_label_odd_images_and_labels_are_handled(tmp_path: Path, size: tuple[int, int], raw: int, instance: int):
    root = frame_with(tmp_path, raw, size, instance)
    assert main(["pseudo-label", str(root)]) == 0
    semantic, objects = read_dense(Layout(root), "00", "000000", "image_2_pseudo")
    assert semantic.shape == size
    assert set(np.unique(semantic)) <= {0, raw}
    assert set(np.unique(objects)) <= {0, instance}
    if raw and size[0] > 3:
        assert (semantic == raw).any()


def test_pseudo_label_impossible_arguments_are_refused(drive: Path, tmp_path: Path):
    config = PseudoLabelConfig(out=tmp_path / "out")
    for changes, error, words in (
        ({"proposer": "sam"}, ConfigError, "--weights"),
        ({"proposer": "oracle"}, ConfigError, "module:Class"),
        ({"proposer": "watershed", "weights": "x.pth"}, ConfigError, "expected none for --proposer watershed"),
        ({"cameras": "image_3"}, ConfigError, "expected images of labelled scans"),
        ({"labels": "scribbles"}, DataError, "scribbles"),
    ):
        changed = replace(config, **changes)
        with pytest.raises(error, match=words):
            generate(drive, changed, open_proposer(changed))
    assert open_proposer(replace(config, proposer="tests.test_pseudo_labels:FromAfar")).describe() == {"name": "oracle"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_pseudo_label_read_only_output_is_refused_before_work(drive: Path, tmp_path: Path):
    (tmp_path / "out").mkdir(mode=0o500)
    config = PseudoLabelConfig(out=tmp_path / "out")
    with pytest.raises(OutputError, match="writable"):
        generate(drive, config, open_proposer(config))


def test_pseudo_label_calibration_without_projected_points_is_reported(own_drive: Path, tmp_path: Path):
    behind = CALIBRATION.replace("Tr: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27", "Tr: 0 -1 0 0 0 0 -1 500 0 0 0 1")
    Layout(own_drive).calibration("08").write_text(behind)
    report = tmp_path / "report.json"
    assert run(own_drive, tmp_path / "out", "--json", str(report)) == 1
    failures = json.loads(report.read_text())["failures"]
    assert len(failures) == 4
    assert "calib.txt" in failures[0]

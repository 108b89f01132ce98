"""Views of a batch: each pixel shows the place of its point."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from elite.cli import main
from elite.config import (
    AugmentConfig,
    DataConfig,
    ImageConfig,
    PseudoLabelConfig,
    StudentConfig,
    TeacherConfig,
    TrainConfig,
)
from elite.data.collate import collate
from elite.data.datamodule import DataModule
from elite.data.dataset import ScoringSet, TrainingSet
from elite.data.sampler import EpochSampler
from elite.datasets import SemanticKITTI
from elite.datasets.dense_labels import DenseLabels, write_dense
from elite.errors import ConfigError, DataError
from elite.geometry import in_volume, project
from elite.layout import Layout
from elite.occlusion import point_pixel_pairs
from elite.pseudo_labels import training_options
from elite.types import View
from tests.support.scans import RAW_IDS, random_scan, write_frame
from tests.support.semantickitti import KITTI

VOLUME = StudentConfig().volume
HEIGHT, WIDTH = 370, 1226
IMAGE = ImageConfig(crop=(300, 900), jitter=0.0)


def coded_image() -> np.ndarray:
    """Every pixel's colour is its place."""
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([row % 256, column % 256, row // 256 * 16 + column // 256], axis=-1).astype(np.uint8)


def place(colour: np.ndarray) -> np.ndarray:
    """(row, column) in the whole image of colours (n, 3)."""
    red, green, blue = colour.astype(np.int64).T
    return np.stack([blue // 16 * 256 + red, blue % 16 * 256 + green], axis=1)


def write_image(root: Path, name: str, camera: str, image: np.ndarray | None = None) -> None:
    path = Layout(root).image("00", name, camera)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(coded_image() if image is None else image).save(path, compress_level=1)


def write_dense_rows(root: Path, name: str, height: int = HEIGHT) -> None:
    """Car in the upper 200 rows, road below."""
    raw = np.where(np.arange(height)[:, None] < 200, 10, 40).astype(np.uint16) * np.ones((1, WIDTH), np.uint16)
    write_dense(Layout(root), "00", name, "image_2_labels", semantic=raw, instance=np.zeros_like(raw))


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Scans 0 .. 3 of sequence 00: both images, image_2, none, both but no label; dense labels for image_2 of 0."""
    rng = np.random.default_rng(0)
    for i, cameras in enumerate((("image_2", "image_3"), ("image_2",), (), ("image_2", "image_3"))):
        points = random_scan(rng, 3000)
        labels = rng.choice(RAW_IDS, len(points))
        write_frame(tmp_path, "00", f"{i:06d}", points, None if i == 3 else labels)
        for camera in cameras:
            write_image(tmp_path, f"{i:06d}", camera)
    write_dense_rows(tmp_path, "000000")
    return tmp_path


def training_set(
    root: Path,
    cameras: tuple[str, ...] = ("image_2", "image_3"),
    augment: bool = True,
    frames: str | None = None,
    **settings: Any,
) -> TrainingSet:
    chosen = SemanticKITTI(root, "00", frames=frames, cameras=cameras)
    settings = {"image": IMAGE} | settings
    return TrainingSet(chosen, VOLUME, AugmentConfig(enabled=augment), 5, **settings)


def same(a: View, b: View) -> bool:
    arrays = [(v.image, v.pairs.point, v.pairs.pixel, np.array(v.labels, object)) for v in (a, b)]
    return a.camera == b.camera and all(np.array_equal(x, y) for x, y in zip(*arrays, strict=True))


@pytest.mark.parametrize("augment", [False, True])
def test_view_pairs_show_the_place_of_their_point(drive: Path, augment: bool) -> None:
    """Points are known again by their remission; every visible point that is left and in the crop has its pair."""
    data = training_set(drive, augment=augment)
    frame = data.frames[0]
    row_of = {r: i for i, r in enumerate(frame.scan.remission)}
    assert len(row_of) == len(frame.scan)
    mirrored = []
    for epoch in range(4):
        sample = data[(epoch, 0)]
        original = np.array([row_of[r] for r in sample.remission])
        assert [view.camera for view in sample.views] == ["image_2", "image_3"]
        for view, camera in zip(sample.views, frame.cameras, strict=True):
            seen = place(view.image[tuple(view.pairs.pixel.T)])
            uv, _ = project(frame.scan.points[original[view.pairs.point]], camera)
            np.testing.assert_array_equal(seen, np.floor(uv)[:, ::-1])
            corners = place(view.image[[0, -1], [0, -1]])
            mirrored.append(bool(corners[0, 1] > corners[1, 1]))
            (top, left), (bottom, right) = corners.min(axis=0), corners.max(axis=0)
            whole = point_pixel_pairs(frame.scan.points, camera, HEIGHT, WIDTH)
            expected = {
                int(p)
                for p, (r, c) in zip(whole.point, whole.pixel, strict=True)
                if p in original and top <= r <= bottom and left <= c <= right
            }
            assert set(original[view.pairs.point].tolist()) == expected
            assert len(view.pairs) == len(expected) > 50
    assert set(mirrored) == ({False, True} if augment else {False})


def test_training_set_points_do_not_depend_on_images(drive: Path) -> None:
    blind, seeing = training_set(drive, ()), training_set(drive, unlabelled="with_image")
    assert len(blind) == 3
    assert len(seeing) == 4
    for i in range(3):
        a, b = blind[(2, i)], seeing[(2, i)]
        assert a.views == ()
        for name in ("points", "remission", "labels"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_training_set_same_key_gives_the_same_views_in_any_process(drive: Path) -> None:
    data = training_set(drive, image=replace(IMAGE, jitter=0.4))
    loaded = next(iter(DataLoader(data, sampler=[(7, 0)], batch_size=None, num_workers=1)))
    (a, b), (c, _) = data[(7, 0)].views, data[(8, 0)].views
    assert all(same(x, y) for x, y in zip((a, b), loaded.views, strict=True))
    assert not np.array_equal(a.image, c.image)
    assert not np.array_equal(a.image, b.image)  # the two files are equal: each camera draws its own crop and colours


def test_collate_of_frames_with_and_without_images_joins_views(drive: Path) -> None:
    """Two images, one, none: against a slow loop. A point that both cameras see has two pairs."""
    data = training_set(drive, dense_labels="image_2_labels")
    samples = [data[(0, 2)], data[(0, 1)], data[(0, 0)]]
    batch = collate(samples)
    views = batch.views
    assert views is not None
    assert views.labels is not None
    assert views.images.is_contiguous()
    assert views.size == IMAGE.crop
    assert views.has_labels.tolist() == [False, True, False]
    assert not views.labels[~views.has_labels].any()
    expected, number, start, twice = [], 0, 0, 0
    for sample in samples:
        for view in sample.views:
            torch.testing.assert_close(views.images[number], torch.tensor(view.image.copy()).permute(2, 0, 1))
            if view.labels is not None:
                torch.testing.assert_close(views.labels[number], torch.tensor(view.labels.copy()))
            for point, (row, column) in zip(view.pairs.point, view.pairs.pixel, strict=True):
                expected.append([number, int(row), int(column), start + int(point)])
            number += 1
        points = [p for view in sample.views for p in view.pairs.point.tolist()]
        twice += len(points) - len(set(points))
        start += len(sample.points)
    found = torch.cat([views.pair_pixel.view[:, None], views.pair_pixel.position, views.pair_point[:, None]], dim=1)
    assert found.tolist() == expected
    assert twice > 20
    assert len(views.pair_point) - len(views.pair_point.unique()) == twice


def test_training_set_without_image_has_no_views(drive: Path) -> None:
    data = training_set(drive)
    assert collate([data[(0, 2)]]).views is None
    no_labels = collate([data[(0, 0)]]).views
    assert no_labels is not None
    assert no_labels.labels is None


def test_view_dense_labels_lie_at_their_pixels(drive: Path) -> None:
    data = training_set(drive, dense_labels="image_2_labels")
    first, second = data[(1, 0)].views
    assert first.labels is not None
    rows = place(first.image.reshape(-1, 3))[:, 0]
    np.testing.assert_array_equal(first.labels.ravel(), np.where(rows < 200, 1, 9))
    assert second.labels is None
    assert data[(1, 1)].views[0].labels is None
    assert data.dense_images == 1


def test_view_dense_labels_of_another_size_are_refused(drive: Path) -> None:
    for folders in ("image_0_labels", "labels", "image_2_labels,image_2_pseudo"):
        with pytest.raises(ConfigError, match=r"one folder per camera.*image_2, image_3"):
            training_set(drive, dense_labels=folders)
    with pytest.raises(DataError, match=r"image_2_pseudo: expected dense labels .*, found none"):
        training_set(drive, dense_labels="image_2_pseudo")
    write_dense_rows(drive, "000000", height=HEIGHT - 1)
    with pytest.raises(
        DataError, match=r"semantic/000000\.png: expected the size of its image, 370 x 1226 .*found 369 x 1226"
    ):
        training_set(drive, dense_labels="image_2_labels")[(0, 0)]


def test_view_calibration_without_visible_point_is_refused(drive: Path) -> None:
    path = drive / "sequences" / "00" / "calib.txt"
    path.write_text(path.read_text().replace("P2: 700 0 600 45", "P2: 700 0 600 1e7"))
    data = training_set(drive, ("image_2",))
    with pytest.raises(DataError, match=r"all 4 training scans, found 2 scans without one"):
        training_set(drive, require_images=True, unlabelled="with_image")
    assert (
        training_set(drive, ("image_3",), frames="0,3", require_images=True, unlabelled="with_image").without_images
        == 0
    )
    with pytest.raises(
        DataError, match=r"scan 00/000000: expected points in view of image_2.*none of 3000 points.*Check calib\.txt"
    ):
        data[(0, 0)]


def test_view_of_a_small_image_names_scan_and_camera(drive: Path) -> None:
    write_image(drive, "000001", "image_2", coded_image()[:, :800])
    with pytest.raises(DataError, match=r"image_2 of scan 00/000001: expected .* 300 x 900 .*found 370 x 800"):
        training_set(drive)[(0, 1)]


def test_data_module_missing_images_are_counted_or_refused(drive: Path) -> None:
    assert training_set(drive).without_images == 1
    assert training_set(drive, ("image_3",)).without_images == 2
    with pytest.raises(
        DataError, match=r"all 3 training scans, found 2 scans without one, the first of them 00/000001"
    ):
        training_set(drive, require_images=True)
    with pytest.raises(DataError, match=r"3 training scans: expected an image in image_0"):
        training_set(drive, ("image_0",))


def test_data_module_without_teacher_reads_no_image(drive: Path) -> None:
    Layout(drive).image("00", "000000", "image_2").write_bytes(b"damaged")
    off = DataModule(run_config(drive, teacher=TeacherConfig(weights="none")))
    assert off.train_set[(0, 0)].views == ()
    assert off.val_set is not None
    assert off.val_set[0].views == ()
    on = DataModule(run_config(drive))
    with pytest.raises(DataError, match="expected a readable PNG"):
        on.train_set[(0, 0)]


def run_config(root: Path, teacher: TeacherConfig | None = None, **data: Any) -> TrainConfig:
    return TrainConfig(
        data=DataConfig(root=root, sequences="00", val_sequences="00", batch_size=2, workers=0, **data),
        teacher=teacher or TeacherConfig(weights="random"),
        image=IMAGE,
    )


def test_data_module_with_teacher_gives_views(drive: Path) -> None:
    module = DataModule(run_config(drive, cameras="image_2, image_3", dense_labels="image_2_labels"))
    assert [int(i) for i in module.train_set.entries] == [0, 1, 2, 3]
    batches = list(module.train_dataloader())
    assert {batch.views.images.shape[1:] for batch in batches if batch.views} == {(3, *IMAGE.crop)}
    assert sum(len(batch.views.images) for batch in batches if batch.views) == 5
    scored = [batch.views for batch in cast(DataLoader[Any], module.val_dataloader())]
    assert [None if v is None else len(v.images) for v in scored] == [2, 1, None]
    assert all(v is None or (v.labels is None and v.size == IMAGE.crop) for v in scored)
    with pytest.raises(ConfigError, match=r"data\.cameras: expected a camera for the teacher .*, found 'none'"):
        DataModule(run_config(drive, cameras="none"))


def test_scoring_set_views_are_deterministic(drive: Path) -> None:
    frames = SemanticKITTI(drive, "00", cameras=("image_2",))
    scoring = ScoringSet(frames, VOLUME, image=ImageConfig(crop=(300, 900)))
    sample, still = scoring[0], training_set(drive, ("image_2",), augment=False)[(3, 0)]
    assert same(sample.views[0], scoring[0].views[0])
    assert same(sample.views[0], still.views[0])
    assert place(sample.views[0].image[0, 0][None]).tolist() == [[70, 163]]
    np.testing.assert_array_equal(sample.points, still.points)


def names(data: TrainingSet) -> list[int]:
    return [int(data.frames.ids[i].name) for i in data.entries]


def test_data_module_keeps_unlabelled_scans_with_images(tmp_path: Path) -> None:
    """Labelled 0 and 5 come back until they are about half of the epoch, augmented differently each time."""
    rng = np.random.default_rng(1)
    for i in range(10):
        write_frame(tmp_path, "00", f"{i:06d}", random_scan(rng, 400), rng.choice(RAW_IDS, 400))
    for i in (0, 1, 3, 4, 6, 8):
        write_image(tmp_path, f"{i:06d}", "image_2")
    write_dense_rows(tmp_path, "000000")
    write_dense_rows(tmp_path, "000001")
    few: dict[str, Any] = {"label_fraction": 0.2, "unlabelled": "with_image", "dense_labels": "image_2_labels"}
    data = training_set(tmp_path, ("image_2",), **few)
    assert names(data) == [0, 5, 0, 5, 1, 3, 4, 6, 8]
    assert data.without_images == 1
    samples = [data[(0, i)] for i in range(len(data))]
    assert [bool(s.labels.any()) for s in samples] == [True] * 4 + [False] * 5
    assert [s.id for s in samples] == [f"00/{n:06d}" for n in names(data)]
    assert samples[0].points.shape != samples[2].points.shape
    assert [v.labels is not None for s in samples for v in s.views] == [True, True] + [False] * 5
    assert len(list(EpochSampler(len(data), 0))) == len(set(EpochSampler(len(data), 0))) == 9
    assert names(training_set(tmp_path, ("image_2",), label_fraction=0.2)) == [0, 5]


def test_view_of_a_real_frame_has_its_pairs(real_kitti: Path) -> None:
    """Without augmentation the whole image's pairs minus the crop; with it the image as in the file, or mirrored."""
    frames = SemanticKITTI(real_kitti, "00", frames="0-2", cameras=("image_2", "image_3"))
    still = TrainingSet(frames, VOLUME, AugmentConfig(enabled=False), 0)
    assert still.without_images == 0
    for i, cameras in enumerate((["image_2", "image_3"], ["image_3"], ["image_3"])):
        frame, sample = frames[i], still[(0, i)]
        rows = np.flatnonzero(in_volume(frame.scan.points, VOLUME))
        assert [view.camera for view in sample.views] == cameras
        for view in sample.views:
            camera = next(c for c in frame.cameras if c.name == view.camera)
            height, width = frame.images[view.camera].shape[:2]
            corner = (height - 320, (width - 1024) // 2)
            whole = point_pixel_pairs(frame.scan.points, camera, height, width)
            inside = ((whole.pixel >= corner) & (whole.pixel < np.add(corner, (320, 1024)))).all(axis=1)
            inside &= np.isin(whole.point, rows)
            np.testing.assert_array_equal(rows[view.pairs.point], whole.point[inside])
            np.testing.assert_array_equal(view.pairs.pixel + corner, whole.pixel[inside])
            assert len(view.pairs) > 10_000
    moving = TrainingSet(frames, VOLUME, AugmentConfig(), 0, image=ImageConfig(jitter=0.0))
    image = frames[0].images["image_2"]
    mirrored = set()
    for epoch in range(4):
        view = moving[(epoch, 0)].views[0]
        for flip, shown in ((False, view.image), (True, view.image[:, ::-1])):
            windows = np.lib.stride_tricks.sliding_window_view(image[-1], 1024, axis=0)
            if (windows == shown[-1].T).all(axis=(1, 2)).any():
                mirrored.add(flip)
    assert mirrored == {False, True}


# ---- generated labels in another root -------------------------------------------------------------------------------


def test_dense_labels_generated_are_read_from_the_derived_root(drive: Path, tmp_path: Path) -> None:
    made = Layout(tmp_path / "made")
    before = SemanticKITTI(drive, "00", cameras=("image_2",))
    points = before.count_points(0)
    ids = np.full((HEIGHT, WIDTH), 50, np.uint16)
    for folder in ("image_2_pseudo", "image_2_labels"):
        write_dense(made, "00", "000000", folder, semantic=ids, instance=ids)
    for folder in ("labels_pseudo", "labels"):
        path = made.labels("00", "000000", folder)
        path.parent.mkdir()
        np.full(points, 10, "<u4").tofile(path)
    frames = SemanticKITTI(drive, "00", cameras=("image_2",), labels="labels_pseudo", derived=made.root)
    assert frames.labelled() == [0]
    assert (frames[0].labels == 1).all()
    images = frames[0].images
    read = DenseLabels(frames, "image_2_pseudo").read(0, images)
    assert (read["image_2"] == KITTI.to_train(ids)).all()
    true = DenseLabels(frames, "image_2_labels").read(0, images)
    assert (true["image_2"] == DenseLabels(before, "image_2_labels").read(0, images)["image_2"]).all()
    frames = SemanticKITTI(drive, "00", cameras=("image_2",), derived=made.root)
    assert (frames[0].labels == before[0].labels).all()


def test_train_reads_labels_from_the_folder_of_pseudo_label(drive: Path, tmp_path: Path, capsys) -> None:
    made = tmp_path / "made"
    assert main(["pseudo-label", str(drive), "--frames", "0", "--out", str(made)]) == 0
    options = f"--data.derived {made} --data.dense-labels image_2_pseudo"
    assert capsys.readouterr().out.splitlines()[0] == f"training uses these labels with {options}"
    settings = run_config(drive, dense_labels="image_2_pseudo")
    with pytest.raises(DataError, match=r"expected dense labels .*--data.derived"):
        DataModule(settings)
    module = DataModule(replace(settings, data=replace(settings.data, derived=made)))
    assert module.train_set.dense_images == 1
    with pytest.raises(DataError, match="expected a folder that 'elite pseudo-label -o' wrote"):
        DataModule(replace(settings, data=replace(settings.data, derived=tmp_path / "nowhere")))
    assert training_options(drive, PseudoLabelConfig(out=drive)) is None

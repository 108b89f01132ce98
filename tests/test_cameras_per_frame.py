"""Training samples with some of the cameras of their scan, drawn at random."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import DataLoader

from elite.config import AugmentConfig, DataConfig, FaultConfig, ImageConfig, StudentConfig, TeacherConfig, TrainConfig
from elite.data.collate import collate
from elite.data.datamodule import DataModule
from elite.data.dataset import TrainingSet
from elite.data.loading import shared_bytes
from elite.data.startup_samples import training_samples
from elite.datasets import NuScenes
from elite.datasets.dense_labels import DenseLabels, write_dense
from elite.errors import ConfigError, DataError
from elite.types import Sample
from tests.support.nuscenes import SCENES, SIZE, write_nuscenes

CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")
IMAGE = ImageConfig(crop=(30, 48))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two keyframes with all six images and dense labels, then two that lack those of the first two cameras."""
    root = write_nuscenes(tmp_path_factory.mktemp("cameras"))
    frames = NuScenes(root)
    for i in range(2):
        for number, camera in enumerate(CAMERAS):
            raw = np.full(SIZE, 17 + number, np.uint16)
            write_dense(frames.layout, *frames.ids[i], f"{camera}_pseudo", semantic=raw, instance=np.zeros_like(raw))
    return root


def training_set(root: Path, count: int | None = 1, **settings: Any) -> TrainingSet:
    volume = StudentConfig.volume
    return TrainingSet(NuScenes(root), volume, AugmentConfig(), 3, image=IMAGE, cameras_per_frame=count, **settings)


def cameras_of(sample: Sample) -> tuple[str, ...]:
    return tuple(view.camera for view in sample.views)


def test_training_sample_draws_each_camera_equally_often(root: Path) -> None:
    data = training_set(root)
    drawn = Counter(cameras_of(data[(epoch, 0)]) for epoch in range(120))
    assert set(drawn) == {(camera,) for camera in CAMERAS}
    assert all(8 <= count <= 36 for count in drawn.values())  # 20 expected; 3 sigma are 12
    assert {cameras_of(data[(epoch, 2)])[0] for epoch in range(60)} == {*CAMERAS[2:]}  # those with an image


def test_training_sample_of_two_cameras_has_two_in_order(root: Path) -> None:
    pairs = {cameras_of(training_set(root, 2)[(epoch, 0)]) for epoch in range(30)}
    assert len(pairs) > 5
    assert all(CAMERAS.index(first) < CAMERAS.index(second) for first, second in pairs)


def test_drawn_camera_is_the_same_in_any_process_and_changes_no_points(root: Path) -> None:
    one, every = training_set(root), training_set(root, None)
    keys = [(epoch, i) for epoch in range(3) for i in range(4)]
    loaded = DataLoader(one, sampler=keys, batch_size=None, num_workers=2)
    for key, sample in zip(keys, loaded, strict=True):
        assert cameras_of(sample) == cameras_of(one[key])
        np.testing.assert_array_equal(sample.points, every[key].points)


@pytest.mark.parametrize("count", [6, 7])
def test_as_many_cameras_as_a_scan_has_equal_all_of_them(root: Path, count: int) -> None:
    """No number is drawn, so that runs of all cameras are what they were before the setting existed."""
    some, every = training_set(root, count)[(4, 1)], training_set(root, None)[(4, 1)]
    assert cameras_of(some) == cameras_of(every) == CAMERAS
    for a, b in zip(some.views, every.views, strict=True):
        np.testing.assert_array_equal(a.image, b.image)


def test_only_the_drawn_images_and_their_dense_labels_are_read(root: Path, tmp_path: Path) -> None:
    folders = ",".join(f"{camera}_pseudo" for camera in CAMERAS)
    data = training_set(shutil.copytree(root, tmp_path / "copy"), dense_labels=folders)
    images = {image.camera: image.path for image in data.frames.images(0)}
    epochs: dict[str, int] = {}
    for epoch in range(40):
        (view,) = data[(epoch, 0)].views
        (expected,) = data.frames.taxonomy.to_train(np.array([17 + CAMERAS.index(view.camera)], np.uint16))
        assert (view.labels == expected).all()
        epochs[view.camera] = epoch
    for path in (images["CAM_BACK"], data.dense.path(0, "CAM_FRONT")):
        path.write_bytes(b"damaged")
    for camera, epoch in epochs.items():
        if camera in ("CAM_BACK", "CAM_FRONT"):
            with pytest.raises(DataError, match=camera):
                data[(epoch, 0)]
        else:
            assert cameras_of(data[(epoch, 0)]) == (camera,)


def test_dense_labels_of_a_camera_whose_name_begins_like_another_are_its_own(root: Path) -> None:
    frames = NuScenes(root, cameras=("CAM_FRONT", "CAM_FRONT_LEFT"))
    folders = DenseLabels(frames, "CAM_FRONT_LEFT_pseudo,CAM_FRONT_pseudo").folders
    assert folders == {camera: f"{camera}_pseudo" for camera in frames.cameras}
    with pytest.raises(ConfigError, match="one folder per camera"):
        DenseLabels(NuScenes(root, cameras=("CAM_FRONT",)), "CAM_FRONT_LEFT_pseudo")


def run_config(root: Path, **data: Any) -> TrainConfig:
    selection = {"sequences": SCENES[0], "val_sequences": SCENES[1], "cameras": ",".join(CAMERAS), "workers": 0}
    return TrainConfig(
        data=DataConfig(root=root, cameras_per_frame=1, **selection | data),
        teacher=TeacherConfig(weights="random"),
        student=replace(StudentConfig(), classes=17),
        image=IMAGE,
        faults=FaultConfig(frames=0),
    )


def test_data_module_draws_cameras_for_training_only(root: Path) -> None:
    module = DataModule(run_config(root))
    assert module.val_set is not None
    assert [len(module.val_set[i].views) for i in range(2)] == [4, 4]  # all that the scans have
    many: Any = DataModule(run_config(root, workers=2)).val_dataloader()
    assert many.num_workers == 2  # a scan with all images takes longer than one for training
    (batch,) = module.train_dataloader()
    assert len(batch.views.images) == 2
    assert len(module.ids()["training images"]) == 12


def test_startup_samples_check_all_cameras_and_have_the_size_of_one(tmp_path: Path) -> None:
    module = DataModule(run_config(write_nuscenes(tmp_path)))
    (sample,) = training_samples(module.train_set, lambda step: step())
    assert len(sample.views) == 1
    drawn = shared_bytes(collate([module.train_set[(0, 0)]]))
    assert shared_bytes(collate([sample])) == pytest.approx(drawn, rel=0.2)
    for image in module.frames.images(0):
        content = image.path.read_bytes()
        image.path.write_bytes(b"damaged")
        with pytest.raises(DataError, match=image.camera):
            module.read_startup_samples()
        image.path.write_bytes(content)


def test_cameras_per_frame_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.cameras_per_frame: expected at least 1, found 0"):
        DataConfig(cameras_per_frame=0)

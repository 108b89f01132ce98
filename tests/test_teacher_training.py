"""Training of a small foundation model: objectives, written files, refusals."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from elite.cli import main
from elite.config import AdapterConfig, ImageConfig, ImageDataConfig, TeacherConfig, TeacherTrainingConfig
from elite.data.image_set import ImageSet, number_by_appearance, segment_numbers, shuffled_keys
from elite.datasets.dense_labels import write_dense
from elite.errors import CheckpointError, ConfigError, DataError
from elite.layout import Layout
from elite.signals import Terminated
from elite.teacher import Teacher
from elite.teacher.backbone import Backbone
from elite.teacher.teacher import HEADS_FORMAT
from elite.teacher.tensor_file import pack
from elite.teacher.weights import load_backbone
from elite.teacher_training import run, train_teacher
from elite.teacher_training.module import TeacherTraining
from elite.teacher_training.objectives import (
    boundaries,
    colour_loss,
    draw_hidden,
    draw_queries,
    hide,
    mask_iou,
    mask_loss,
)
from tests.support.foundation import narrow_sam_config
from tests.support.processes import lock_held

RAW = np.array([0, 10, 40, 50, 70, 80, 252], np.uint16)


@pytest.fixture(scope="module")
def architecture(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder with the config.json of a SAM encoder of 4 narrow blocks."""
    folder = tmp_path_factory.mktemp("architecture")
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "mlp_dim": 32, "output_channels": 8}
    places = {"image_size": 96, "patch_size": 8, "window_size": 4, "global_attn_indexes": [1, 3]}
    narrow_sam_config(**sizes, **places, initializer_range=1e-10).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_streets(tmp_path_factory.mktemp("streets"), RAW)


def draw_streets(root: Path, raw: np.ndarray) -> Path:
    """Images of coloured rectangles in 00 and 08, with dense labels in which rectangle class k has the id raw[k]."""
    rng, layout = np.random.default_rng(0), Layout(root)
    for sequence, name in (("00", "000000"), ("00", "000001"), ("00", "000002"), ("08", "000000")):
        kind, instance = np.zeros((64, 96), np.int64), np.zeros((64, 96), np.uint16)
        for i in range(12):
            top, left = rng.integers(56), rng.integers(80)
            window = np.s_[top : top + rng.integers(4, 30), left : left + rng.integers(4, 40)]
            kind[window], instance[window] = rng.integers(1, len(raw)), i % 3
        image = (37 * kind + 60 * instance)[:, :, None] * [1, 3, 7] % 256 + rng.integers(-5, 5, (64, 96, 3))
        path = layout.image(sequence, name, "image_2")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path)
        write_dense(layout, sequence, name, "image_2_labels", semantic=raw[kind], instance=instance)
    return root


def configured(root: Path, out: Path, architecture: str, **changes: Any) -> TeacherTrainingConfig:
    data = {"root": root, "sequences": "00", "batch_size": 2, "workers": 0} | changes.pop("data", {})
    values = {"steps": 2, "queries": 8, "width": 8, "accelerator": "cpu", "image": ImageConfig(crop=(56, 80))} | changes
    return TeacherTrainingConfig(out=out, model=architecture, data=ImageDataConfig(**data), **values)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Backbone]:
    """The backbones that runs of the test train."""
    made: list[Backbone] = []
    monkeypatch.setattr(run, "load_backbone", lambda *a: made.append(load_backbone(*a)) or made[-1])
    return made


# ---- what it learns from --------------------------------------------------------------------------------------------


def test_segments_worked_by_hand() -> None:
    semantic = np.array([[50, 50, 10], [10, 10, 10]], np.uint16)
    instance = np.array([[0, 0, 7], [9, 7, 7]], np.uint16)
    assert segment_numbers(semantic, instance).tolist() == [[0, 0, 1], [2, 1, 1]]


def test_first_come_numbers_depend_on_the_partition_only() -> None:
    ids = np.random.default_rng(0).integers(0, 9, (20, 30))
    renamed = np.random.default_rng(1).permutation(1000)[:9][ids]
    assert (number_by_appearance(ids) == number_by_appearance(renamed)).all()
    assert len(set(zip(ids.flat, number_by_appearance(ids).flat, strict=True))) == 9


def test_boundaries_worked_by_hand() -> None:
    segment = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    edge = [[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 1, 0]]
    assert boundaries(segment[None])[0].int().tolist() == edge


def test_draw_queries_includes_small_segments() -> None:
    """A cell in 1000 is half of what is drawn by segment, a quarter of everything; each image has its own segments."""
    segment = torch.zeros(2, 1000, dtype=torch.int64)
    segment[0, 17] = 1
    drawn = draw_queries(segment, 4000)
    assert 900 < int((drawn[0] == 17).sum()) < 1100
    assert int((drawn[1] == 17).sum()) < 30
    assert int((drawn[0, 2000:] != 17).sum()) > 1980  # the other half is uniform over the cells


def test_mask_losses_worked_by_hand() -> None:
    truth = torch.tensor([[[True, True, False, False], [False, False, False, True]]])
    sure = torch.where(truth, 50.0, -50.0)
    assert float(mask_loss(sure, truth)) == pytest.approx(0, abs=1e-6)
    assert float(mask_loss(-sure, truth)) > 40
    guess = torch.tensor([[[True, False, True, False], [False, False, False, True]]])
    assert float(mask_iou(guess, truth)) == pytest.approx((1 / 3 + 1) / 2)


def test_hide_replaces_the_drawn_squares() -> None:
    images = torch.randint(0, 256, (2, 3, 40, 50), dtype=torch.uint8)
    hidden = draw_hidden(images, 0.5)
    assert all(len(square.unique()) == 1 for rows in hidden.split(16, 1) for square in rows[:1].split(16, 2))
    shown = hide(images, hidden).permute(0, 2, 3, 1)
    assert torch.equal(shown[~hidden], images.permute(0, 2, 3, 1)[~hidden])
    assert shown[hidden].unique(dim=0).tolist() == [[124, 116, 104]]


def test_colour_loss_counts_hidden_pixels_only() -> None:
    images = torch.full((1, 3, 8, 8), 124, dtype=torch.uint8)
    painted, hidden = torch.zeros(1, 3, 2, 2), torch.tensor([[[True, False], [False, False]]])
    painted[:, :, 1, 1] = 9
    assert float(colour_loss(painted, images, hidden)) == pytest.approx((0.325 + 7.72 + 20.47) / 3 / 58, abs=1e-3)
    assert float(colour_loss(painted, images, hidden & False)) == 0


def test_shuffled_keys_visit_every_image_once_per_epoch() -> None:
    keys = shuffled_keys(5, 12, seed=3)
    assert [key.epoch for key in keys] == [0] * 5 + [1] * 5 + [2] * 2
    first, second = ([key.index for key in keys[part]] for part in (slice(5), slice(5, 10)))
    assert sorted(first) == sorted(second) == list(range(5))
    assert first != second


def test_teacher_training_by_segments_ignores_class_names(tmp_path: Path, streets: Path, architecture: str) -> None:
    """Other classes on the same segments: the same losses and the same weights, bit for bit."""
    other = draw_streets(tmp_path / "other", np.random.default_rng(5).permutation(RAW))
    runs = [
        train_teacher(configured(r, tmp_path / n, architecture), progress=False)
        for n, r in (("a", streets), ("b", other))
    ]
    assert runs[0].scores == runs[1].scores
    a, b = ((run.folder / "model.safetensors").read_bytes() for run in runs)
    assert a == b
    named = [
        train_teacher(configured(r, tmp_path / f"{n}-named", architecture, objective="classes"), progress=False).scores
        for n, r in (("a", streets), ("b", other))
    ]
    assert named[0] != named[1]  # the comparison would notice


# ---- what it writes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["segments", "classes", "reconstruction"])
def test_teacher_training_writes_the_trained_backbone(
    tmp_path: Path, streets: Path, architecture: str, trained: list[Backbone], objective: str
) -> None:
    config = configured(streets, tmp_path / "out", architecture, objective=objective, data={"val_sequences": "08"})
    result = train_teacher(config, progress=False)
    images = torch.randint(0, 256, (1, 3, 48, 80), dtype=torch.uint8)
    torch.manual_seed(config.seed)
    untrained = load_backbone(TeacherConfig(weights="random", model=architecture), 4)
    loaded = load_backbone(TeacherConfig(weights=str(result.folder)), 4)
    with torch.no_grad():
        maps = [b(images) for b in (trained[0].eval(), loaded, untrained)]
    for of_trained, of_loaded, of_untrained in zip(*maps, strict=True):
        assert torch.equal(of_trained, of_loaded)
        assert not torch.allclose(of_trained, of_untrained)
    record = json.loads((result.folder / "training.json").read_text())
    assert record["settings"]["objective"] == objective
    assert record["images"] == 3
    assert record["scores"] == pytest.approx(result.scores)
    assert {"loss", "val/loss"} <= set(result.scores)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_teacher_training_lowers_the_loss(tmp_path: Path, streets: Path, architecture: str) -> None:
    short, long = (
        train_teacher(configured(streets, tmp_path / str(n), architecture, steps=n, lr=1e-2), progress=False).scores
        for n in (2, 30)
    )
    assert long["loss"] < 0.9 * short["loss"]


def test_teacher_training_of_any_autobackbone_gives_a_backbone(tmp_path: Path, streets: Path) -> None:
    from transformers import Dinov2Config

    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "patch_size": 8,
        "image_size": 64,
    }
    Dinov2Config(**sizes).save_pretrained(tmp_path / "dino")
    result = train_teacher(configured(streets, tmp_path / "out", str(tmp_path / "dino")), progress=False)
    assert load_backbone(TeacherConfig(weights=str(result.folder)), 4).channels == (16,) * 4


def test_teacher_training_over_a_model_without_overwrite_is_refused(
    tmp_path: Path, streets: Path, architecture: str
) -> None:
    config = configured(streets, tmp_path / "out", architecture)
    before = (train_teacher(config, progress=False).folder / "model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=r"already contains a model.*--overwrite"):
        train_teacher(config, progress=False)
    assert (config.out / "model.safetensors").read_bytes() == before
    train_teacher(configured(streets, config.out, architecture, seed=1, overwrite=True), progress=False)
    assert (config.out / "model.safetensors").read_bytes() != before
    (config.out / "diary.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"expected a model folder, found the file diary.txt"):
        train_teacher(configured(streets, config.out, architecture, overwrite=True), progress=False)


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
def test_teacher_training_failure_keeps_the_previous_model(
    tmp_path: Path, streets: Path, architecture: str, monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]
) -> None:
    config = configured(streets, tmp_path / "out", architecture, overwrite=True)
    before = (train_teacher(config, progress=False).folder / "model.safetensors").read_bytes()

    def fail(*_: Any) -> None:
        raise fault

    target = "elite.teacher_training." + ("objectives.mask_loss" if fault is KeyboardInterrupt else "folder.save")
    monkeypatch.setattr(target, fail)
    with pytest.raises(fault):
        train_teacher(config, progress=False)
    assert (config.out / "model.safetensors").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


# ---- what it refuses ------------------------------------------------------------------------------------------------


def test_teacher_training_without_dense_labels_is_refused(tmp_path: Path, architecture: str) -> None:
    root = draw_streets(tmp_path / "bare", RAW)
    for folder in (root / "sequences").glob("*/image_2_labels"):
        folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(DataError, match=r"00/image_2_labels.*expected dense labels.*--objective reconstruction"):
        train_teacher(configured(root, tmp_path / "out", architecture), progress=False)
    train_teacher(configured(root, tmp_path / "out", architecture, objective="reconstruction"), progress=False)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": {"root": None}}, ConfigError, "Give DATA"),
        ({"data": {"cameras": "image_3"}}, DataError, "expected an image image_3/N.png"),
        ({"data": {"sequences": "0,3"}}, DataError, "expected sequence 03, found 00, 08"),
        ({"data": {"cameras": "none"}}, ConfigError, "data.cameras: .* found no camera"),
        ({"data": {"sequences": "00", "val_sequences": "00"}}, DataError, "expected an image"),
        ({"image": ImageConfig(crop=(50, 80))}, ConfigError, "expected multiples of 8 pixels"),
        ({"image": ImageConfig(crop=(72, 80))}, DataError, "expected .* 72 x 80 pixels .* found 64 x 96"),
        ({"precision": "16-mixed"}, ConfigError, "Set --precision bf16-mixed"),
        ({"lr": 1e30, "warmup_steps": 0, "steps": 9}, ConfigError, "expected a finite loss.*Lower --lr"),
    ],
)
def test_teacher_training_impossible_settings_are_refused(
    tmp_path: Path, streets: Path, architecture: str, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train_teacher(configured(streets, tmp_path / "out", architecture, **changes), progress=False)
    assert not list(tmp_path.iterdir())


def test_train_teacher_command_prints_the_model_folder(
    tmp_path: Path, streets: Path, architecture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [
        "train-teacher",
        "--config",
        "synthetic-teacher",
        "--data.root",
        str(streets),
        "--out",
        str(tmp_path / "o"),
    ]
    assert main([*given, "--model", architecture]) == 2
    assert "expected at most 96 x 96 pixels" in capsys.readouterr().err  # the packaged crop is for larger images
    small = ["--image.crop", "[56, 80]", "--steps", "1", "--data.workers", "0", "--warmup-steps", "0"]
    assert main([*given, "--model", architecture, *small]) == 0
    assert f"foundation model written to {tmp_path / 'o'}" in capsys.readouterr().out
    assert main([*given, "--data.colour", "red"]) == 2


def test_teacher_training_by_classes_initialises_taps_and_heads(
    streets: Path, tmp_path: Path, architecture: str
) -> None:
    named = train_teacher(
        configured(streets, tmp_path / "named", architecture, objective="classes"), progress=False
    ).folder
    unnamed = train_teacher(configured(streets, tmp_path / "unnamed", architecture), progress=False).folder
    saved = load_file(named / "teacher.safetensors")

    def built(folder: Path, heads: str, **changes: Any) -> Teacher:
        settings: dict[str, Any] = {"channels": 8, "heads": heads, "adapter": AdapterConfig(method="frozen")} | changes
        return Teacher.build(TeacherConfig(weights=str(folder), **settings), stages=4, classes=20, total_steps=None)

    state = built(named, "pretrained").state_dict()
    assert all(torch.equal(state[name], value) for name, value in saved.items())
    assert saved.keys() == {name for name in state if not name.startswith("backbone.")}
    assert not torch.equal(built(named, "new").state_dict()["heads.0.0.weight"], saved["heads.0.0.weight"])
    with pytest.raises(CheckpointError, match=r"expected trained heads.*--objective classes"):
        built(unnamed, "pretrained")
    narrow = TeacherConfig(weights=str(named), channels=4, heads="pretrained", adapter=AdapterConfig(method="full"))
    with pytest.raises(CheckpointError, match="expected heads trained with"):
        Teacher.build(narrow, stages=4, classes=20, total_steps=None)
    with pytest.raises(CheckpointError, match=r"with teacher\.channels 4, found teacher\.channels 8"):
        built(named, "pretrained", channels=4)
    with pytest.raises(CheckpointError, match=r"with teacher\.rel_pos interpolate, found teacher\.rel_pos slice"):
        built(named, "pretrained", rel_pos="interpolate")
    (named / "teacher.safetensors").write_bytes(pack(saved, HEADS_FORMAT, {"depths": [0, 1, 2, 4]}))
    with pytest.raises(CheckpointError, match=r"with teacher\.depths 0, 1, 2, 3, found teacher\.depths 0, 1, 2, 4"):
        built(named, "pretrained")
    save_file(saved, named / "teacher.safetensors")  # as older versions wrote it: only the shapes are compared
    built(named, "pretrained", rel_pos="interpolate")
    with pytest.raises(CheckpointError, match="of another shape"):
        built(named, "pretrained", channels=4)


# ---- what ends it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_teacher_training_signal_ends_it_without_files(
    streets: Path, tmp_path: Path, architecture: str, monkeypatch, number: int, error: type[BaseException]
) -> None:
    monkeypatch.setattr(TeacherTraining, "forward", lambda *_: os.kill(os.getpid(), number))
    with pytest.raises(error):
        train_teacher(configured(streets, tmp_path / "model", architecture), progress=False)
    assert not list(tmp_path.iterdir())


def test_teacher_training_stalled_image_ends_in_time(
    streets: Path, tmp_path: Path, architecture: str, monkeypatch
) -> None:
    read = ImageSet.__getitem__

    def wait(self: ImageSet, key: tuple[int, int]) -> Any:
        time.sleep(100 if key[0] == 1 else 0)
        return read(self, key)

    monkeypatch.setattr(ImageSet, "__getitem__", wait)
    settings = configured(streets, tmp_path / "model", architecture, data={"workers": 1, "timeout": 2.0})
    with pytest.raises(DataError, match=r"no data in 2 s.*--data.timeout"):
        train_teacher(settings, progress=False)


def test_teacher_training_in_the_folder_of_an_active_run_is_refused(
    streets: Path, tmp_path: Path, architecture: str
) -> None:
    with lock_held(tmp_path / ".model.lock") as pid, pytest.raises(ConfigError, match=f"the run of process {pid}"):
        train_teacher(configured(streets, tmp_path / "model", architecture), progress=False)

"""Files by somebody who means harm: nothing in them is run, nothing is written elsewhere, no size is believed."""

import io
import json
import pickle
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from elite.cli.parsing import Parser, parse_config
from elite.config import TrainConfig
from elite.data.dense import encode_ids, read_dense
from elite.data.semantickitti import read_image
from elite.errors import CheckpointError, ConfigError, DataError, EliteError
from elite.files import parse_json
from elite.layout import Layout
from elite.student import SPVCNN, load_student, save_student
from elite.student.checkpoint import FORMAT
from elite.torch_file import load_torch


class Attack:
    """Unpickling it makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


# ---- nothing is run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", ["bare pickle", "torch", "torch before 1.6", "inside a tensor's dictionary"])
def test_no_checkpoint_runs_code(wrap, tmp_path):
    from elite.student.checkpoint import import_published
    from elite.teacher import load_teacher
    from elite.teacher.sam_weights import load_sam

    mark, path = tmp_path / "mark", tmp_path / "a.ckpt"
    harm = Attack(mark)
    if wrap == "bare pickle":
        path.write_bytes(pickle.dumps(harm))
    elif wrap == "inside a tensor's dictionary":
        torch.save({"state_dict": {"model_3d.x": torch.ones(1)}, "elite_config": {"student": harm}}, path)
    else:
        torch.save(harm, path, _use_new_zipfile_serialization=wrap == "torch")
    for read in (load_torch, load_student, import_published, load_sam, load_teacher):
        with pytest.raises(CheckpointError):
            read(path)
    assert not mark.exists()


def test_no_foundation_folder_runs_code(tmp_path):
    """Neither a pickle among the weights nor a program beside them."""
    from transformers import ResNetConfig, ResNetModel
    from transformers.utils import logging

    from elite.config import TeacherConfig
    from elite.teacher.weights import load_backbone

    mark, folder = tmp_path / "mark", tmp_path / "model"
    logging.disable_progress_bar()
    ResNetModel(ResNetConfig(embedding_size=4, hidden_sizes=[4], depths=[1])).save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save({"embedder.weight": Attack(mark)}, folder / "pytorch_model.bin")
    config = json.loads((folder / "config.json").read_text())
    with pytest.raises(CheckpointError):
        load_backbone(TeacherConfig(weights=str(folder)), 1)

    (folder / "program.py").write_text(f"open({str(mark)!r}, 'w')\n")
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "program.Config", "AutoBackbone": "program.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError):
        load_backbone(TeacherConfig(weights=str(folder)), 1)
    assert not mark.exists()


@pytest.mark.parametrize(
    "text",
    [
        "epochs: !!python/object/apply:builtins.open [MARK, w]",
        "optim: {class_path: builtins.open, init_args: {file: MARK, mode: w}}",
        "out: !!python/object/new:pathlib.Path [MARK]",
    ],
)
def test_no_configuration_runs_code(text, tmp_path):
    from elite.report.run import read_run

    mark, path = tmp_path / "mark", tmp_path / "config.yaml"
    path.write_text(text.replace("MARK", str(mark)))
    with pytest.raises(ConfigError):
        parse_config(Parser(prog="elite train"), [f"--config={path}"], TrainConfig)
    if "!!" in text:
        with pytest.raises(DataError, match=r"config\.yaml is damaged"):
            read_run(tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize("text", ["data: 5", "augment: {cutmix: 99999999999999999999999999}"])
def test_a_value_in_place_of_a_group_of_settings_is_named(text, tmp_path):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"(data|augment\.cutmix) is a group of settings, found '(5|9+)'"):
        parse_config(Parser(prog="elite train"), [f"--config={tmp_path / 'a.yaml'}"], TrainConfig)


def test_settings_that_hold_themselves_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("teacher:\n  adapter:\n    methoe: &a [*a]\n")
    with pytest.raises(ConfigError, match="nested without end"):
        parse_config(Parser(prog="elite train"), [f"--config={tmp_path / 'a.yaml'}"], TrainConfig)


@pytest.mark.parametrize("text", ["optim: {lr: }", "student: {cells: null}", "distill: {kl: null}"])
def test_a_setting_that_is_left_empty_is_named(text, tmp_path):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"(optim\.lr|student\.cells|distill\.kl) must have a value, found null"):
        parse_config(Parser(prog="elite train"), [f"--config={tmp_path / 'a.yaml'}"], TrainConfig)


def test_a_number_beyond_all_numbers_is_told(tmp_path):
    (tmp_path / "a.yaml").write_text(f"optim: {{lr: {'9' * 400}}}")
    with pytest.raises(ConfigError, match="larger than any number"):
        parse_config(Parser(prog="elite train"), [f"--config={tmp_path / 'a.yaml'}"], TrainConfig)


def test_an_image_is_png_or_jpeg_whatever_its_name(tmp_path):
    """Pillow would hand a PostScript file to another program."""
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    for kind in ("BMP", "TIFF", "GIF"):
        Image.new("RGB", (8, 6)).save(tmp_path / kind, kind)
    (tmp_path / "EPS").write_bytes(postscript)
    for path in tmp_path.iterdir():
        with pytest.raises(DataError, match="not a readable image, PNG or JPEG"):
            read_image(path)


# ---- nothing is written elsewhere -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../out.label", "/tmp/out.label", "sequences/11/predictions/../../../../x.label"])
def test_a_zip_with_a_way_out_is_refused_and_not_unpacked(name, tiny_kitti, tmp_path):
    from elite.submission import check_submission

    path = tmp_path / "deep" / "er" / "x.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"\0" * 4)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"x\.zip"):
        check_submission(path, tiny_kitti, partial=True)
    assert set(tmp_path.rglob("*")) == before


# ---- no size is believed --------------------------------------------------------------------------------------


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header tells another size than its pixels have."""
    content = encode_ids(np.zeros((6, 8), np.uint16))
    header = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


@pytest.mark.parametrize("size", [(10_000, 9_000), (100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_an_image_is_no_larger_than_a_camera_makes_them(size, tmp_path):
    layout = Layout(tmp_path)
    for kind in ("semantic", "instance"):
        path = layout.dense_labels("00", "000000", "x", kind)
        path.parent.mkdir(parents=True)
        path.write_bytes(png_of_size(*size))
    for read in (lambda: read_image(path), lambda: read_dense(layout, "00", "000000", "x")):
        with pytest.raises(DataError, match=r"pixels"):
            read()


def test_a_zip_unpacks_no_more_than_its_labels(tiny_kitti, tmp_path, monkeypatch):
    """A member that tells the right size, holds a thousand times as much, and is packed so that it is small."""
    from elite import submission

    monkeypatch.setattr(submission, "TEST_SCANS", dict.fromkeys(submission.TEST_SCANS, 1))
    member, buffer = "sequences/11/predictions/000000.label", io.BytesIO()
    packed = zlib.compress(bytes(50_000_000), 9, -15)
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, packed)
    told = {"method": struct.pack("<H", 8), "size": struct.pack("<I", 60 * 4)}
    content = bytearray(buffer.getvalue())
    for signature, method, size in ((b"PK\3\4", 8, 22), (b"PK\1\2", 10, 24)):
        at = content.index(signature)
        content[at + method : at + method + 2] = told["method"]
        content[at + size : at + size + 4] = told["size"]
    (tmp_path / "x.zip").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"x\.zip"):
        submission.check_submission(tmp_path / "x.zip", tiny_kitti)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def student_file(path: Path, config: object) -> Path:
    save_file({"a": torch.ones(2)}, path, {FORMAT: json.dumps({"config": config})})
    return path


@pytest.mark.parametrize(
    "config",
    [
        {"channels": 60_000},
        {"channels": 10**30},
        {"channels": 8.0},
        {"channels": True},
        {"classes": 2.5},
        {"classes": 10**9},
        {"strides": [1, 2.5]},
        {"strides": 4},
        {"cells": [10**400, 1, 1]},
        {"volume": [[-1e300, -1, -1], [1, 1, 1]]},
        {"volume": [[float("nan"), -1, -1], [1, 1, 1]]},
        {"volume": "far"},
        {"depth": 3},
        [],
        "[" * 5000,
    ],
    ids=lambda config: str(config)[:30],
)
def test_a_student_of_any_claimed_size_or_type_is_refused_at_once(config, tmp_path):
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        load_student(student_file(tmp_path / "a.safetensors", config))


def test_weights_that_are_not_there_or_not_finite_are_refused(tmp_path):
    """Strides of zero make a large array of one number."""
    student = SPVCNN(channels=2, strides=(1, 2), classes=3)
    state = {f"student.{name}": value for name, value in student.state_dict().items()}
    config = {"student": {"channels": 2, "strides": [1, 2], "classes": 3}}
    path = tmp_path / "a.ckpt"
    for value, message in ((torch.zeros(1).expand(2), "claims more"), (torch.tensor([1, torch.nan]), "NaN")):
        torch.save({"elite_config": config, "state_dict": state | {"student.point_mlp.out.bias": value}}, path)
        with pytest.raises(CheckpointError, match=message):
            load_student(path)
    sparse = state | {"student.point_mlp.out.bias": torch.zeros(2).to_sparse()}
    torch.save({"elite_config": config, "state_dict": sparse}, path)
    with pytest.raises(CheckpointError):
        load_student(path)


def test_deep_nesting_is_an_error_of_the_text():
    with pytest.raises(ValueError, match="nested"):
        parse_json("[" * 100_000)


def test_half_a_character_in_a_result_does_not_stop_the_report(tmp_path):
    from elite.report.page import render
    from elite.report.run import read_run

    (tmp_path / "evaluation.json").write_text('{"command": "\\ud800", "classes": ["a", "<script>"]}')
    page = render(read_run(tmp_path), {}, [])
    page.encode(errors="xmlcharrefreplace")
    assert "<script>" not in page


@pytest.mark.parametrize("setting", ["root: 5", "val_frames: [0]", "val_sequences: 8", "cameras: 2"])
def test_settings_of_another_type_are_told(setting, tmp_path):
    from elite.report import report_run

    (tmp_path / "config.yaml").write_text(f"data: {{{setting}}}")
    with pytest.raises(EliteError, match=r"config\.yaml is damaged"):
        report_run(tmp_path)


@pytest.mark.parametrize("setting", ["data", "teacher: {weights", "student: {volume", "image: {crop"])
def test_settings_that_hold_each_other_many_times_are_never_written_out(setting, tmp_path):
    from elite.report.run import read_run

    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    lines += [f"{setting}: *a11{'}' * setting.count('{')}"]
    (tmp_path / "config.yaml").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"config\.yaml is damaged"):
        read_run(tmp_path)


def test_a_saved_student_is_read_as_before(tmp_path):
    save_student(SPVCNN(channels=2, strides=(1, 2), classes=3), tmp_path / "a.safetensors")
    assert load_student(tmp_path / "a.safetensors").config.channels == 2

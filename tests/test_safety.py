"""Malicious files: no code runs, nothing is written elsewhere, claimed sizes are checked."""

import io
import json
import os
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
from safetensors.torch import load_file, save_file

from elite.config import TrainConfig
from elite.datasets.dense_labels import encode_ids, read_dense
from elite.datasets.formats import read_image
from elite.errors import CheckpointError, ConfigError, DataError, EliteError
from elite.files import parse_array, parse_json
from elite.layout import Layout
from elite.student import SPVCNN, load_student, save_student
from elite.student.student_file import FORMAT
from elite.weights.safetensors_file import open_safetensors
from elite.weights.torch_file import load_torch
from tests.support.settings import parse_settings


class Attack:
    """Unpickling it makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


# ---- nothing is run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", ["bare pickle", "torch", "torch before 1.6", "inside a tensor's dictionary"])
def test_checkpoint_with_code_never_runs_it(wrap, tmp_path):
    from elite.student.published import import_published
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


def test_foundation_folder_with_code_never_runs_it(tmp_path):
    """Neither a pickle among the weights nor a program in the folder."""
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
def test_configuration_with_code_never_runs_it(text, tmp_path):
    from elite.report.run import read_run

    mark, path = tmp_path / "mark", tmp_path / "config.yaml"
    path.write_text(text.replace("MARK", str(mark)))
    with pytest.raises(ConfigError):
        parse_settings([f"--config={path}"], TrainConfig)
    if "!!" in text:
        with pytest.raises(DataError, match=r"config\.yaml is damaged"):
            read_run(tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize("text", ["data: 5", "augment: {cutmix: 99999999999999999999999999}"])
def test_configuration_value_in_place_of_a_group_is_named(text, tmp_path):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"(data|augment\.cutmix) is a group of settings, found '(5|9+)'"):
        parse_settings([f"--config={tmp_path / 'a.yaml'}"], TrainConfig)


def test_configuration_that_contains_itself_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("teacher:\n  adapter:\n    method: &a [*a]\n")
    with pytest.raises(ConfigError, match="nested without end"):
        parse_settings([f"--config={tmp_path / 'a.yaml'}"], TrainConfig)


@pytest.mark.parametrize("text", ["optim: {lr: }", "student: {cells: null}", "distill: {kl: null}"])
def test_configuration_with_an_empty_setting_is_named(text, tmp_path):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"(optim\.lr|student\.cells|distill\.kl): expected .*, found no value"):
        parse_settings([f"--config={tmp_path / 'a.yaml'}"], TrainConfig)


def test_configuration_with_a_huge_number_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text(f"optim: {{lr: {'9' * 400}}}")
    with pytest.raises(ConfigError, match=r"optim\.lr: expected a finite number"):
        parse_settings([f"--config={tmp_path / 'a.yaml'}"], TrainConfig)


def test_read_image_of_other_formats_is_refused(tmp_path):
    """Pillow would hand a PostScript file to another program."""
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    for kind in ("BMP", "TIFF", "GIF"):
        Image.new("RGB", (8, 6)).save(tmp_path / kind, kind)
    (tmp_path / "EPS").write_bytes(postscript)
    for path in tmp_path.iterdir():
        with pytest.raises(DataError, match="expected a readable PNG or JPEG image"):
            read_image(path)


# ---- nothing is written elsewhere -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../out.label", "/tmp/out.label", "sequences/11/predictions/../../../../x.label"])
def test_submission_zip_with_path_traversal_is_refused(name, tiny_kitti, tmp_path):
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
    """PNG whose header claims another size than its pixels have."""
    content = encode_ids(np.zeros((6, 8), np.uint16))
    header = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


@pytest.mark.parametrize("size", [(10_000, 9_000), (100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_read_image_of_too_many_pixels_is_refused(size, tmp_path):
    layout = Layout(tmp_path)
    files = layout.dense_files("00", "000000", "x")
    for path in (files.semantic, files.instance):
        path.parent.mkdir(parents=True)
        path.write_bytes(png_of_size(*size))
    for read in (lambda: read_image(path), lambda: read_dense(layout, "00", "000000", "x")):
        with pytest.raises(DataError, match=r"pixels"):
            read()


def test_read_image_without_memory_names_the_cause(tmp_path, monkeypatch):
    def load(_):
        raise MemoryError

    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(DataError, match=r"a\.png: .*found one that does not fit in memory"):
        read_image(tmp_path / "a.png")


def test_submission_zip_bomb_is_refused(tiny_kitti, tmp_path, monkeypatch):
    """Zip member that claims the right size and unpacks to a thousand times as much."""
    from elite.submission import check_submission, semantickitti

    monkeypatch.setattr(semantickitti, "TEST_SCANS", dict.fromkeys(semantickitti.TEST_SCANS, 1))
    member, buffer = "sequences/11/predictions/000000.label", io.BytesIO()
    packed = zlib.compress(bytes(50_000_000), 9, -15)
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, packed)
    claims = {"method": struct.pack("<H", 8), "size": struct.pack("<I", 60 * 4)}
    content = bytearray(buffer.getvalue())
    for signature, method, size in ((b"PK\3\4", 8, 22), (b"PK\1\2", 10, 24)):
        at = content.index(signature)
        content[at + method : at + method + 2] = claims["method"]
        content[at + size : at + size + 4] = claims["size"]
    (tmp_path / "x.zip").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"x\.zip"):
        check_submission(tmp_path / "x.zip", tiny_kitti)
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
def test_student_file_with_impossible_claims_is_refused_at_once(config, tmp_path):
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        load_student(student_file(tmp_path / "a.safetensors", config))


def safetensors_bytes(header: dict, length: int) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(length)


def entry(dtype: object, shape: object, *offsets: object) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


BAD_HEADERS = {
    "more than the file": {"a": entry("F32", [100], 0, 400)},
    "a gap": {"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 8, 12)},
    "an overlap": {"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 4, 12)},
    "bytes of no tensor": {"a": entry("F32", [1], 0, 4)},
    "another size than its shape": {"a": entry("F32", [1], 0, 12)},
    "a negative shape": {"a": entry("F32", [-3], 0, 12)},
    "a shape beyond all numbers": {"a": entry("F32", [2**62, 2**62], 0, 12)},
    "a negative place": {"a": entry("F32", [6], -12, 12)},
    "an unknown type": {"a": entry("F3", [3], 0, 12)},
    "no type": {"a": {}},
    "numbers as metadata": {"__metadata__": {"a": 1}, "a": entry("F32", [3], 0, 12)},
    "a list": [],
}


@pytest.mark.parametrize("header", BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_open_safetensors_of_a_header_that_does_not_describe_the_file_is_refused(header, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(safetensors_bytes(header, 12))
    with (
        pytest.raises(CheckpointError, match=r"a\.safetensors: expected a safetensors file"),
        open_safetensors(tmp_path / "a.safetensors"),
    ):
        pass


def test_open_safetensors_reads_what_the_library_writes(tmp_path):
    tensors = {str(dtype): torch.arange(6).view(2, 3).to(dtype) for dtype in (torch.bfloat16, torch.bool, torch.int8)}
    tensors |= {"empty": torch.zeros(3, 0), "one": torch.tensor(2.5)}
    save_file(tensors, tmp_path / "a.safetensors", {"a": "b"})
    with open_safetensors(tmp_path / "a.safetensors") as file:
        assert file.metadata == {"a": "b"}
        found = file.read()
    assert found.keys() == tensors.keys()
    assert all(value.dtype == found[name].dtype and torch.equal(value, found[name]) for name, value in tensors.items())


@pytest.mark.parametrize("header", [{"a": entry("U8", [10**11], 0, 10**11)}, None], ids=["one tensor", "zeros"])
def test_sparse_file_of_100_gb_is_refused_at_once(header, tmp_path):
    for name in ("a.safetensors", "model/model.safetensors"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            start = b"" if header is None else safetensors_bytes(header, 0)
            file.write(start)
            file.truncate(len(start) + 10**11)
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "resnet"} | SMALL_RESNET))
    refused(tmp_path)  # imports modules
    tracemalloc.start()
    refused(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def refused(folder: Path):
    for read in (lambda: load_student(folder / "a.safetensors"), lambda: load_folder(folder / "model")):
        with pytest.raises(CheckpointError):
            read()


SMALL_RESNET = {"embedding_size": 4, "hidden_sizes": [4], "depths": [1]}


def load_folder(folder: Path):
    from elite.config import TeacherConfig
    from elite.teacher.weights import load_backbone

    return load_backbone(TeacherConfig(weights=str(folder)), 1).model


@pytest.fixture
def resnet(tmp_path):
    """A folder as transformers writes it."""
    from transformers import ResNetConfig, ResNetModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    ResNetModel(ResNetConfig(**SMALL_RESNET)).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_foundation_folder_with_any_weight_format_is_read(resnet):
    expected = load_folder(resnet).state_dict()
    state = load_file(resnet / "model.safetensors")
    (resnet / "model.safetensors").unlink()
    names = sorted(state)
    forms = {
        "pytorch_model.bin": lambda part, path: torch.save(part, path),
        "pytorch_model.bin.index.json": lambda part, path: torch.save(part, path, _use_new_zipfile_serialization=False),
        "model.safetensors.index.json": lambda part, path: save_file(part, path, {"format": "pt"}),
    }
    for name, write in forms.items():
        if name.endswith(".json"):
            kind = "safetensors" if "safetensors" in name else "bin"
            index = {key: f"part-{i % 2}.{kind}" for i, key in enumerate(names)}
            for part in set(index.values()):
                write({key: state[key] for key in names if index[key] == part}, resnet / part)
            (resnet / name).write_text(json.dumps({"weight_map": index}))
        else:
            write(state, resnet / name)
        found = load_folder(resnet).state_dict()
        assert all(torch.equal(value, found[key]) for key, value in expected.items())
        (resnet / name).unlink()


def test_foundation_folder_with_impossible_weights_is_refused_before_allocation(resnet):
    state = load_file(resnet / "model.safetensors")
    (resnet / "model.safetensors").unlink()
    path = resnet / "pytorch_model.bin"
    torch.save(state, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content if name.endswith("data.pkl") else bytes(10**6))
    with pytest.raises(CheckpointError, match=r"compressed member .*Load it with torch\.load and save it again"):
        load_folder(resnet)

    torch.save({"state_dict": state, "epoch": 3}, path)
    with pytest.raises(CheckpointError, match=r"expected a state_dict, found other values. Save only the state_dict"):
        load_folder(resnet)
    torch.save(state, path)
    load_folder(resnet)

    path.unlink()
    (resnet / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../model.safetensors"}}')
    with pytest.raises(CheckpointError, match="files in the same folder"):
        load_folder(resnet)
    (resnet / "model.safetensors.index.json").unlink()
    with pytest.raises(CheckpointError, match=r"found neither\. Save the model there with save_pretrained"):
        load_folder(resnet)
    (resnet / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="found a peft adapter"):
        load_folder(resnet)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "pytorch_model.bin", "model.safetensors.index.json"]
)
def test_foundation_folder_with_a_pipe_is_refused(name, resnet, time_limit):
    if name != "config.json":
        (resnet / "model.safetensors").unlink()
    (resnet / name).unlink(missing_ok=True)
    os.mkfifo(resnet / name)
    time_limit(120)
    with pytest.raises(CheckpointError, match="a pipe, socket or device instead"):
        load_folder(resnet)


def test_weights_that_are_a_pipe_are_refused(tmp_path, time_limit):
    from elite.pseudo_labels.proposers.sam import Sam
    from elite.student.published import import_published
    from elite.teacher import load_teacher
    from elite.teacher.sam_weights import load_sam
    from elite.teacher.tensor_file import unpack

    path = tmp_path / "pipe"
    os.mkfifo(path)
    time_limit(120)
    readers = [load_torch, load_student, import_published, load_sam, load_teacher]
    readers += [lambda path: unpack(path, "a", expected="file", remedy="Copy it").__enter__()]
    readers += [load_folder, lambda path: Sam.load(str(path))]
    for read in readers:
        with pytest.raises(CheckpointError, match=r"pipe: .*a pipe, socket or device instead"):
            read(path)


def test_weights_missing_or_not_finite_are_refused(tmp_path):
    """Strides of zero make a large array of one number."""
    student = SPVCNN(channels=2, strides=(1, 2), classes=3)
    state = {f"student.{name}": value for name, value in student.state_dict().items()}
    config = {"student": {"channels": 2, "strides": [1, 2], "classes": 3}}
    path = tmp_path / "a.ckpt"
    for value, message in ((torch.zeros(1).expand(2), "found fewer"), (torch.tensor([1, torch.nan]), "NaN")):
        torch.save({"elite_config": config, "state_dict": state | {"student.point_mlp.out.bias": value}}, path)
        with pytest.raises(CheckpointError, match=message):
            load_student(path)
    sparse = state | {"student.point_mlp.out.bias": torch.zeros(2).to_sparse()}
    torch.save({"elite_config": config, "state_dict": sparse}, path)
    with pytest.raises(CheckpointError):
        load_student(path)


def test_json_with_deep_nesting_is_refused():
    with pytest.raises(ValueError, match="nested"):
        parse_json("[" * 100_000)


@pytest.mark.parametrize("shape", ["(-9223372036854775809,)", "(999999999999999,)", "(" * 300, "[2]", "(2,"])
def test_array_with_an_impossible_header_is_refused(shape):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    with pytest.raises(ValueError, match=r".+"):
        parse_array(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(40))


def test_report_of_a_result_with_a_lone_surrogate_has_a_page(tmp_path):
    from elite.report.page import render
    from elite.report.run import read_run

    (tmp_path / "evaluation.json").write_text('{"command": "\\ud800", "classes": ["a", "<script>"]}')
    page = render(read_run(tmp_path))
    page.encode(errors="xmlcharrefreplace")
    assert "<script>" not in page


@pytest.mark.parametrize("setting", ["root: 5", "val_frames: [0]", "val_sequences: 8", "cameras: 2"])
def test_configuration_of_another_type_is_named(setting, tmp_path):
    from elite.report import report_run

    (tmp_path / "config.yaml").write_text(f"data: {{{setting}}}")
    with pytest.raises(EliteError, match=r"config\.yaml is damaged"):
        report_run(tmp_path)


@pytest.mark.parametrize("setting", ["data", "teacher: {weights", "student: {volume", "image: {crop"])
def test_configuration_with_exponential_aliases_is_refused(setting, tmp_path):
    from elite.report.run import read_run

    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    lines += [f"{setting}: *a11{'}' * setting.count('{')}"]
    (tmp_path / "config.yaml").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"config\.yaml is damaged"):
        read_run(tmp_path)


def test_student_file_round_trip_restores_the_settings(tmp_path):
    save_student(SPVCNN(channels=2, strides=(1, 2), classes=3), tmp_path / "a.safetensors")
    assert load_student(tmp_path / "a.safetensors").config.channels == 2

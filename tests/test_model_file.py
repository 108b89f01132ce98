"""Model files (*.elite): the same student in libelite and in Python, and refusals of any other file."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from elite import native
from elite.cli import main
from elite.errors import CheckpointError, ConfigError, EliteError
from elite.native import Model
from elite.native.elite_h import c_void_p
from elite.native.loader import opened
from elite.sensor import SensorSpec
from elite.student import SPVCNN, load_student, save_student
from elite.student.model_file import model_bytes, save_model
from elite.taxonomy import ClassSpec, Taxonomy
from tests.fuzz.models import resealed, with_header, with_metadata
from tests.support.instructions import limited_to
from tests.support.students import with_random_norms

pytestmark = pytest.mark.skipif(native.library() is None, reason=native.describe())
SMALL: dict[str, Any] = {
    "channels": 4,
    "strides": (1, 2),
    "volume": ((-9.0, -9.0, -4.0), (9.0, 9.0, 2.0)),
    "cells": (30, 30, 9),
}
WITH_HASH = b"contents that do not fit its hash"


def small_student(**settings: Any) -> SPVCNN:
    torch.manual_seed(0)
    return with_random_norms(SPVCNN(**SMALL | settings), std=0.2)


@pytest.fixture(scope="module")
def content() -> bytes:
    return model_bytes(small_student())


def scan(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(0, 4, (count, 3)).astype(np.float32), rng.random(count, np.float32)


def refusal(content: bytes) -> str:
    """The message of libelite about a damaged file."""
    with pytest.raises(CheckpointError) as refused:
        Model(content)
    return str(refused.value)


# ---- round trips ------------------------------------------------------------------------------------------------


def test_export_of_a_model_gives_the_student_in_python_and_in_libelite(tmp_path: Path, capsys) -> None:
    save_student(small_student(), tmp_path / "s.safetensors")
    argv = ["export", tmp_path / "s.safetensors", "-o", tmp_path / "m.elite", "--precision", "int8"]
    assert main([*map(str, argv)]) == 0
    assert f"model written to {tmp_path / 'm.elite'}" in capsys.readouterr().out
    loaded = load_student(tmp_path / "m.elite")
    for name, value in small_student().state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    assert (tmp_path / "m.elite").read_bytes() == model_bytes(small_student(), "int8")
    with safe_open(tmp_path / "m.elite", "numpy") as file:  # any reader of safetensors opens it
        assert json.loads(file.metadata()["elite-model-1"])["precision"] == "int8"
    if native.multiplies("int8"):
        assert Model((tmp_path / "m.elite").read_bytes()).info.precision == 2
    assert main([*map(str, argv)]) == 2  # it exists
    assert main([*map(str, argv[:3]), str(tmp_path / "m.bin")]) == 2
    assert "ends in .safetensors or .elite, found '.bin'" in capsys.readouterr().err
    assert main([*map(str, argv[:3]), str(tmp_path / "t.safetensors"), "--precision", "fp32"]) == 2
    assert "--precision: expected a model file (.elite)" in capsys.readouterr().err


def test_model_of_float16_weights_equals_the_rounded_student(tmp_path: Path) -> None:
    save_model(small_student(channels=16), tmp_path / "half.elite", half=True)
    rounded = load_student(tmp_path / "half.elite")
    assert (tmp_path / "half.elite").stat().st_size < 0.7 * len(model_bytes(rounded))
    points, intensity = scan()
    found = Model((tmp_path / "half.elite").read_bytes()).session().segment(points, intensity)
    expected = Model(model_bytes(rounded)).session().segment(points, intensity)
    np.testing.assert_array_equal(found.class_probabilities, expected.class_probabilities)


def test_model_contains_the_gain_of_the_remission() -> None:
    assert model_bytes(small_student(remission_gain=20.0)) != model_bytes(small_student())
    points, intensity = scan()
    student = small_student(remission_gain=20.0)
    student.backend = "torch"
    found = Model(model_bytes(student)).session().run(points, intensity)
    with torch.no_grad():
        index = torch.zeros(len(points), dtype=torch.int64)
        expected = student(torch.from_numpy(points), torch.from_numpy(intensity), index).logits
    np.testing.assert_allclose(found.logits[found.group_of_point], expected, atol=1e-4)


def test_model_of_other_classes_and_sensors_keeps_their_names() -> None:
    names = ("nothing", 'a "quoted" \\ name', "Straße 路 🚗")
    taxonomy = Taxonomy("räume", tuple(ClassSpec(name, (i,), color=(i, 2, 255)) for i, name in enumerate(names)))
    student = small_student(classes=3, taxonomy=taxonomy, sensor=SensorSpec("Sensor ä"))
    model = Model(model_bytes(student))
    assert model.classes == names
    assert model.info.taxonomy.decode() == "räume"
    assert model.info.sensor.decode() == "Sensor ä"
    assert model.info.sensor_height < 0  # unknown
    assert opened().elite_class_color(model._handle, 2) == 0x0202FF


def test_open_reads_regular_files_only(tmp_path: Path, content: bytes) -> None:
    path, handle = tmp_path / "a.elite", c_void_p()
    path.write_bytes(content)
    os.mkfifo(tmp_path / "pipe")
    assert opened().elite_open(os.fsencode(path), 3, handle) == 0
    opened().elite_close(handle)
    for name, message in (
        ("none", "No such file"),
        ("", "a folder, pipe or device"),
        ("pipe", "a folder, pipe or device"),
    ):
        assert opened().elite_open(os.fsencode(tmp_path / name), 3, handle) == 2
        assert message in opened().elite_last_error().decode()
        assert not handle.value
    assert opened().elite_open(None, 3, handle) == 1
    assert opened().elite_open(os.fsencode(path), 4, handle) == 1


# ---- damage -----------------------------------------------------------------------------------------------------


def test_model_that_is_truncated_is_refused(content: bytes) -> None:
    for length in (*range(0, 40), 500, len(content) // 2, len(content) - 1):
        assert refusal(content[:length])
    assert refusal(content + b"x")


def test_model_with_any_flipped_bit_is_refused(content: bytes, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for at in rng.integers(len(content), size=300):
        flipped = bytearray(content)
        flipped[at] ^= 1 << rng.integers(8)
        refusal(bytes(flipped))
        (tmp_path / "a.elite").write_bytes(flipped)
        with pytest.raises(EliteError):
            load_student(tmp_path / "a.elite")


def test_model_of_another_hash_names_it(content: bytes, tmp_path: Path) -> None:
    damaged = content[:-1] + bytes([content[-1] ^ 1])
    assert refusal(damaged).encode().count(WITH_HASH) == 1
    (tmp_path / "a.elite").write_bytes(damaged)
    with pytest.raises(CheckpointError, match="expected contents that fit the hash"):
        load_student(tmp_path / "a.elite")
    assert resealed(damaged) != damaged
    Model(resealed(damaged))


def test_model_of_a_future_version_says_so(content: bytes, tmp_path: Path) -> None:
    future = content.replace(b"elite-model-1", b"elite-model-2")
    assert "expected the format elite-model-1, found elite-model-2. Update libelite." in refusal(future)
    (tmp_path / "a.elite").write_bytes(future)
    with pytest.raises(CheckpointError, match="expected version 1 of the format elite-model"):
        load_student(tmp_path / "a.elite")


def test_student_file_is_not_a_model(tmp_path: Path) -> None:
    save_student(small_student(), tmp_path / "s.safetensors")
    assert "elite export STUDENT -o MODEL.elite" in refusal((tmp_path / "s.safetensors").read_bytes())


CONFIG = {"channels": 4, "strides": [1, 2], "volume": [[-9, -9, -4], [9, 9, 2]], "cells": [30, 30, 9], "classes": 20}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": CONFIG | {"channels": 6}}, "of another shape than its configuration"),
        ({"config": CONFIG | {"channels": 3}}, "an odd number of channels"),
        ({"config": CONFIG | {"channels": 2**40}}, "channels of 1099511627776"),
        ({"config": CONFIG | {"channels": 4.5}}, "a number that is not whole"),
        ({"config": CONFIG | {"channels": True}}, "where a whole number belongs"),
        ({"config": CONFIG | {"channels": "4"}}, "where a whole number belongs"),
        ({"config": CONFIG | {"strides": [1]}}, "another number of strides"),
        ({"config": CONFIG | {"strides": [2, 1]}}, "a stride of 2"),
        ({"config": CONFIG | {"strides": [1, 2, 4]}}, "'classifier.0.weight' of another shape"),
        ({"config": CONFIG | {"strides": [1, 2, 2]}}, "a stride of 2"),
        ({"config": CONFIG | {"cells": [0, 1, 1]}}, "cells of 0"),
        ({"config": CONFIG | {"cells": [1, 1]}}, "a grid of other dimensions"),
        ({"config": CONFIG | {"volume": [[0, 0, 0], [0, 1, 1]]}}, "an impossible volume"),
        ({"config": CONFIG | {"volume": [[-1e9, 0, 0], [1, 1, 1]]}}, "an impossible volume"),
        ({"config": CONFIG | {"classes": 19}}, "20 names and 20 colours for 19 classes"),
        ({"config": CONFIG | {"past_scans": 2}}, "'point_mlp.hidden.weight' of another shape"),
        ({"colors": [[0, 0, 256]] * 20}, "a colour of 256"),
        ({"colors": [[0, 0]] * 20}, "a colour that is not RGB"),
        ({"precision": "fp64"}, "the precision 'fp64'"),
        ({"taxonomy": None}, "metadata without 'taxonomy'"),
        ({"sensor": []}, "where an object belongs"),
    ],
)
def test_model_of_an_impossible_configuration_is_refused(content: bytes, changes: dict, message: str) -> None:
    assert message in refusal(with_metadata(content, **changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: b"[" * 2000 + h, "nested too deeply"),
        (lambda h: h.replace(b'"dtype":"F32"', b'"dtype":"BF16"', 1), "numbers of the type BF16"),
        (lambda h: h.rstrip()[:-1] + b',"__metadata__":{}}', "a repeated key"),
        (lambda h: h + b" x", "text after the metadata"),
        (lambda h: h.replace(b"elite-model-1", b"elite-m\\u006fdel-1"), ""),
        (lambda h: h.replace(b"elite-model-1", b"elite-\\ud800"), "an impossible character"),
        (lambda h: h.replace(b"elite-model-1", b"elite-\\x"), "an unknown escape"),
        (lambda h: h.replace(b'"shape":[4]', b'"shape":[04]', 1), "metadata that are not JSON"),
        (lambda h: h.replace(b'"shape":[4]', b'"shape":[-4]', 1), "an axis of -4"),
        (lambda h: h.replace(b'"shape":[4]', b'"shape":[1e999]', 1), "too large"),
        (lambda h: h.replace(b'"data_offsets":[', b'"data_offsets":[1', 1), "an offset"),
        (lambda h: h.replace(b'"data_offsets":[', b'"data_offsets":[0,', 1), "offsets of another number"),
        (lambda h: h.replace(b"running_var", b"running\\tvar", 1), "no 'stages.0"),
    ],
)
def test_model_of_an_impossible_header_is_refused(
    content: bytes, change: Callable[[bytes], bytes], message: str
) -> None:
    length = int.from_bytes(content[:8], "little")
    damaged = resealed(with_header(content, change(content[8 : 8 + length])))
    if message:
        assert message in refusal(damaged)
    else:
        Model(damaged)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("classifier.2.weight", np.nan, "NaN or infinity in 'classifier.2.weight'"),
        ("stages.0.voxel.0.norm1.running_var", -1.0, "a negative variance"),
        ("stages.0.voxel.1.conv2.weight", 3e38, "overflow"),
    ],
)
def test_model_of_impossible_weights_is_refused(name: str, value: float, message: str) -> None:
    student = small_student()
    with torch.no_grad():
        student.state_dict()[name].fill_(value)
        student.stages[0].voxel[1].norm2.weight.fill_(9.0)  # type: ignore[index]
    assert message in refusal(model_bytes(student))


def test_precision_that_the_processor_lacks_is_refused(content: bytes) -> None:
    expected = r"precision int8: expected .* AVX512-VNNI .* found another one"
    with limited_to("avx2"), pytest.raises(ConfigError, match=expected):
        Model(content, "int8")

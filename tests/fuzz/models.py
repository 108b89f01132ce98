"""Damaged model files, for libelite and for PyTorch; damage behind a valid hash reaches the code after its check."""

import json
import re
from contextlib import suppress
from pathlib import Path

import numpy as np

from elite.errors import CheckpointError, DataError
from elite.native import Model
from elite.student import SPVCNN, load_student
from elite.student.model_file import model_bytes
from elite.student.model_hash import NO_DIGITS, sealed
from tests.fuzz.files import put

_ENTRY = re.compile(rb'(\\"sha256\\": \\")[0-9a-f]{64}')


def make_model(folder: Path) -> list[Path]:
    student = SPVCNN(channels=2, strides=(1, 2), classes=3, volume=((-4, -4, -4), (4, 4, 4)), cells=(9, 9, 9)).eval()
    return [put(folder / "a.elite", model_bytes(student))]


def use_model(folder: Path) -> None:
    """Read the file as it is, and with a hash of its damaged contents; label a scan if it can be read."""
    content = (folder / "a.elite").read_bytes()
    with suppress(CheckpointError):
        load_student(folder / "a.elite")
    for version in (content, resealed(content)):
        with suppress(CheckpointError):
            label(Model(version))


def resealed(content: bytes) -> bytes:
    """The contents with a valid hash, if they have one entry for it."""
    cleared = _ENTRY.sub(rb"\g<1>" + NO_DIGITS.encode(), content)
    return sealed(cleared) if len(_ENTRY.findall(cleared)) == 1 else content


def label(model: Model) -> None:
    """Labels are classes of the model, or the scan is refused."""
    points = np.random.default_rng(0).normal(0, 2, (40, 3)).astype(np.float32)
    ages = np.zeros(40, np.float32)
    with suppress(DataError):
        found = model.session().segment(points, np.ones(40, np.float32), ages, threads=1)
        assert found.labels.max() < len(model.classes)
        assert np.isfinite(found.class_probabilities).all()


def with_metadata(content: bytes, **changes: object) -> bytes:
    """The model file with other entries and a valid hash; None removes an entry."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = json.loads(header["__metadata__"]["elite-model-1"]) | changes | {"sha256": NO_DIGITS}
    about = {key: value for key, value in about.items() if value is not None}
    header["__metadata__"]["elite-model-1"] = json.dumps(about)
    return sealed(with_header(content, json.dumps(header).encode()))


def with_header(content: bytes, header: bytes) -> bytes:
    """The safetensors file with another header."""
    length = int.from_bytes(content[:8], "little")
    return len(header).to_bytes(8, "little") + header + content[8 + length :]

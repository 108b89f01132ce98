"""Student files and model files: safetensors files with the student's configuration in their metadata.

They cannot run code, and require neither PyTorch nor a network to be read or written.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from safetensors.numpy import save

from elite.config import StudentConfig, from_plain, plain
from elite.errors import CheckpointError, ConfigError
from elite.files import open_regular, parse_json
from elite.remission import Quantiles, quantiles_from
from elite.sensor import SensorSpec, load_sensor, sensor_from
from elite.shapes import Shaped
from elite.student.model_hash import check_hash
from elite.student.trained import TrainedStudent
from elite.student.weight_shapes import check_fit
from elite.taxonomy import Taxonomy, default_taxonomy, taxonomy_from
from elite.version import __version__
from elite.weights.reading import reading
from elite.weights.safetensors_header import Header, StoredTensor, read_header

if TYPE_CHECKING:
    from elite.student.spvcnn import SPVCNN

FORMAT, MODEL_FORMAT = "elite-student-1", "elite-model-1"
_HALF_ERROR = 2.0**-11  # largest relative error of rounding to float16, which subnormal numbers exceed
_DTYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I64": "<i8"}


# ---- write --------------------------------------------------------------------------------------------------------


def student_bytes(student: TrainedStudent, *, half: bool = False, path: Path = Path("student")) -> bytes:
    """Return the contents of a student file; the same student gives the same bytes.

    Raises:
        CheckpointError: ``half``, and a weight that float16 does not represent.
    """
    # One entry, because safetensors writes several in any order.
    return save(stored_weights(student, path, half=half), {FORMAT: json.dumps(file_entries(student))})


def stored_weights(student: TrainedStudent, path: Path, *, half: bool) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return the weights as a file contains them: with ``half``, matrices and kernels in float16.

    Raises:
        CheckpointError: a weight that float16 does not represent.
    """
    weights = dict(student.weights)
    if half:
        weights = {name: _halved(value, name, path) if value.ndim > 1 else value for name, value in weights.items()}
    return weights


def file_entries(student: TrainedStudent) -> dict[str, Any]:
    """Return configuration and domain of a student as plain entries of a file."""
    settings = plain(student.config)
    del settings["remission_gain"]
    if not student.config.past_scans:
        del settings["past_scans"]  # versions without past scans read the file too
    return {"config": settings, **domain_entries(student), "version": __version__}


def _halved(weight: Shaped[np.ndarray, "..."], name: str, path: Path) -> Shaped[np.ndarray, "..."]:
    """Round a weight to float16.

    Raises:
        CheckpointError: the rounding is not as small as that of usual numbers, because some are too large or too small.
    """
    with np.errstate(over="ignore"):
        rounded = weight.astype(np.float16)
    if not np.linalg.norm(rounded.astype(np.float32) - weight) <= _HALF_ERROR * np.linalg.norm(weight):
        largest = np.abs(weight).max()
        raise CheckpointError(
            f"{path}: expected weights that float16 represents, found others in '{name}' (up to {largest:.3g}). Export "
            "without --half."
        )
    return rounded


# ---- read ---------------------------------------------------------------------------------------------------------


def read_student(path: Path) -> TrainedStudent:
    """Read a student file or a model file.

    Raises:
        CheckpointError: unreadable, damaged, another kind of file, or weights that do not fit their configuration.
    """
    with reading(path, "a safetensors file"), open_regular(path, None) as file:
        header = read_header(file, path)
        about, digits = _about(header)
        if digits is not None:
            check_hash(path, digits)
        config = student_config(about["config"], path)
        shapes = {name: stored.shape for name, stored in header.tensors.items()}
        check_fit(config, shapes, path, remedy="Export the student again")
        domain = domain_of(about, path)
        weights = {name: _numbers(file, stored, name) for name, stored in header.tensors.items()}
    taxonomy, sensor = domain.get("taxonomy"), domain.get("sensor")
    taxonomy, sensor = taxonomy or default_taxonomy(config.classes), sensor or load_sensor("hdl-64e")
    return TrainedStudent(config, weights, taxonomy, sensor, domain.get("remission"), path)


def _about(header: Header) -> tuple[Mapping[str, Any], Any]:
    """(metadata of a student, hash of a model file or None)."""
    path, entry, is_model = header.path, header.entry(FORMAT), False
    if entry is None:
        entry, is_model = header.entry(MODEL_FORMAT), True
    if entry is None:
        raise CheckpointError(
            f"{path}: expected '{FORMAT}' in the metadata of a student file, found another safetensors file. Make "
            "one with 'elite import' or 'elite export'."
        )
    try:
        about = parse_json(entry)
        _, digits = about["config"], about["sha256"] if is_model else None
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"{path}: expected the student's configuration in its metadata, found damage ({error}). Export the "
            "student again."
        ) from error
    return about, digits


def _numbers(file: Any, stored: StoredTensor, name: str) -> Shaped[np.ndarray, "..."]:
    """Read the numbers of a weight.

    Raises:
        CheckpointError: numbers of another type, NaN or infinity.
        ValueError: the file ends before them.
    """
    if stored.dtype not in _DTYPES:
        raise CheckpointError(
            f"{file.name}: expected weights in float32 or float16, found {stored.dtype} in '{name}'. Export the "
            "student again."
        )
    file.seek(stored.start)
    content = bytearray(stored.end - stored.start)
    if file.readinto(content) != len(content):
        raise ValueError("the file ends within a tensor")
    numbers = np.frombuffer(content, _DTYPES[stored.dtype]).reshape(stored.shape)
    if not np.isfinite(numbers).all():
        raise CheckpointError(
            f"{file.name}: expected finite numbers, found NaN or infinity in '{name}'. Use an earlier checkpoint."
        )
    return numbers


# ---- entries, also of training checkpoints --------------------------------------------------------------------------


class Domain(TypedDict, total=False):
    """Classes of the logits of a student, and sensor and remission of its training scans."""

    taxonomy: Taxonomy
    sensor: SensorSpec
    remission: Quantiles


def domain_entries(student: "TrainedStudent | SPVCNN", prefix: str = "") -> dict[str, Any]:
    """Return taxonomy, sensor and remission of a student as plain entries of a file."""
    entries = {f"{prefix}taxonomy": student.taxonomy.to_dict(), f"{prefix}sensor": student.sensor.to_dict()}
    return entries if student.remission is None else entries | {f"{prefix}remission": [*student.remission]}


def domain_of(values: Mapping[str, Any], path: Path, prefix: str = "") -> Domain:
    """Return taxonomy, sensor and remission of a file.

    Files of before version 0.2 have none, and mean SemanticKITTI with unknown remission.

    Raises:
        CheckpointError: damaged entries.
    """
    domain = Domain()
    try:
        if (taxonomy := values.get(f"{prefix}taxonomy")) is not None:
            domain["taxonomy"] = taxonomy_from(taxonomy, str(path))
        if (sensor := values.get(f"{prefix}sensor")) is not None:
            domain["sensor"] = sensor_from(sensor, str(path))
        if (remission := values.get(f"{prefix}remission")) is not None:
            domain["remission"] = quantiles_from(remission, str(path))
    except ConfigError as error:
        raise CheckpointError(f"{error} Use the version of elite that wrote it.") from error
    return domain


def student_config(values: Any, path: Path) -> StudentConfig:
    """Return the configuration with these settings.

    Raises:
        CheckpointError: other settings, which the file ``path`` contains.
    """
    try:
        return from_plain(StudentConfig, values)
    except ConfigError as error:
        raise CheckpointError(
            f"{path}: expected the settings of a student, found others: {error} Use the version of elite that wrote it."
        ) from error

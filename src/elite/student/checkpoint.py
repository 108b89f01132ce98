"""Save and load students: student files, and checkpoints of training runs. Every key must be known.

A student file is a safetensors file with the student's configuration in its metadata. It cannot run code and requires
only this package.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import torch
from safetensors.torch import save
from torch import Tensor

from elite.config import StudentConfig, from_plain, plain
from elite.errors import CheckpointError, ConfigError
from elite.files import open_regular, parse_json, write_bytes
from elite.packaged_students import expected_student, student_path
from elite.remission import Quantiles, quantiles_from
from elite.sensor import SensorSpec, sensor_from
from elite.student.model_hash import check_hash
from elite.student.spvcnn import SPVCNN
from elite.student.transfer import with_remission_gain
from elite.taxonomy import Taxonomy, taxonomy_from
from elite.version import __version__
from elite.weights.safetensors_file import open_safetensors
from elite.weights.torch_file import check_numbers, is_state_dict, open_torch, unreadable

FORMAT, MODEL_FORMAT = "elite-student-1", "elite-model-1"
_HALF_ERROR = 2.0**-11  # largest relative error of rounding to float16, which subnormal numbers exceed
AVERAGE = "average.module."  # prefix of the student's moving average in a training checkpoint, if it has one


def save_student(student: SPVCNN, path: Path, *, half: bool = False) -> None:
    """Write weights and configuration to a student file, atomically; the same student gives the same bytes.

    The weights of the file contain ``remission_gain``, so that students with and without one have equal files.

    Args:
        student: the student.
        path: the file.
        half: store matrices and kernels in float16. Vectors, such as statistics of batch norms, stay float32.

    Raises:
        OutputError: the file cannot be written.
        CheckpointError: a weight that float16 does not represent.
    """
    # One entry, because safetensors writes several in any order.
    metadata = {FORMAT: json.dumps(file_entries(student))}
    write_bytes(path, save(file_tensors(student, path, half=half), metadata))


def file_tensors(student: SPVCNN, path: Path, *, half: bool) -> dict[str, Tensor]:
    """Return the tensors of a student or model file, which contain ``remission_gain``; arguments as above.

    Raises:
        CheckpointError: a weight that float16 does not represent.
    """
    weights = with_remission_gain(student, 1.0).state_dict()
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    if half:
        tensors = {name: _halved(value, name, path) if value.ndim > 1 else value for name, value in tensors.items()}
    return tensors


def file_entries(student: SPVCNN) -> dict[str, Any]:
    """Return configuration and domain of a student as plain entries of a file."""
    settings = plain(student.config)
    del settings["remission_gain"]
    if not student.config.past_scans:
        del settings["past_scans"]  # versions without past scans read the file too
    return {"config": settings, **domain_entries(student), "version": __version__}


def _halved(weight: Tensor, name: str, path: Path) -> Tensor:
    """Round a weight to float16.

    Raises:
        CheckpointError: the rounding is not as small as that of usual numbers, because some are too large or too small.
    """
    rounded = weight.half()
    if not (rounded.float() - weight).norm() <= _HALF_ERROR * weight.norm():
        largest = weight.abs().max()
        raise CheckpointError(
            f"{path}: expected weights that float16 represents, found others in '{name}' (up to {largest:.3g}). Export "
            "without --half."
        )
    return rounded


def load_student(path: str | Path) -> SPVCNN:
    """Load a student file or a training checkpoint (the student's moving average, if it has one), in eval mode.

    ``path`` may also be the name of a packaged student.

    Raises:
        CheckpointError: unreadable, another kind of file, or weights that do not fit their configuration.
    """
    path = student_path(path)
    return (_load_safetensors if _is_safetensors(path) else _load_training_checkpoint)(path)


def _is_safetensors(path: Path) -> bool:
    try:
        with open_regular(path, None) as file:
            start = file.read(9)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: expected {expected_student()}, found no such file or folder. Check the path."
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if start[8:] == b"{":  # after the length of its header
        return True
    if not start.startswith((b"PK", b"\x80")):
        raise CheckpointError(
            f"{path}: expected a student file or a checkpoint, found neither a safetensors nor a torch file. Copy it "
            "again, because it may be truncated."
        )
    return False


def _load_safetensors(path: Path) -> SPVCNN:
    with open_safetensors(path) as file:
        entry, is_model = file.entry(FORMAT), False
        if entry is None:
            entry, is_model = file.entry(MODEL_FORMAT), True
        if entry is None:
            raise CheckpointError(
                f"{path}: expected '{FORMAT}' in the metadata of a student file, found another safetensors file. Make "
                "one with 'elite import' or 'elite export'."
            )
        try:
            about = parse_json(entry)
            values, digits = about["config"], about["sha256"] if is_model else None
        except (ValueError, TypeError, KeyError) as error:
            raise CheckpointError(
                f"{path}: expected the student's configuration in its metadata, found damage ({error}). Export the "
                "student again."
            ) from error
        if digits is not None:
            check_hash(path, digits)
        config = student_config(values, path)
        check_fit(config, file.shapes, path, remedy="Export the student again")
        return student_from(config, file.read(), path, **domain_of(about, path))


def _load_training_checkpoint(path: Path) -> SPVCNN:
    with open_torch(path) as file:
        values, state = file.content.get("elite_config"), file.content.get("state_dict")
        if not isinstance(values, dict) or not is_state_dict(state):
            raise CheckpointError(
                f"{path}: expected a checkpoint of elite train, found the keys {sorted(map(str, file.content))[:5]}. "
                "Convert a published checkpoint with 'elite import' first."
            )
        config = student_config(values.get("student"), path)
        has_average = any(name.startswith(AVERAGE) for name in state)
        prefix = AVERAGE if has_average else "student."
        shapes = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
        check_fit(config, shapes, path, remedy="Give another checkpoint of the run")
        return student_from(config, file.read(shapes), path, **domain_of(file.content, path, "elite_"))


class Domain(TypedDict, total=False):
    """Classes of the logits of a student, and sensor and remission of its training scans."""

    taxonomy: Taxonomy
    sensor: SensorSpec
    remission: Quantiles


def domain_entries(student: SPVCNN, prefix: str = "") -> dict[str, Any]:
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


# ---- shared with published checkpoints --------------------------------------------------------------------------


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


def check_fit(config: StudentConfig, shapes: Mapping[str, Tensor], source: object, *, remedy: str) -> None:
    """Check that weights have every key and every shape of such a student.

    Raises:
        CheckpointError: names the first difference and the ``source`` of the weights, with a ``remedy``.
    """
    with torch.device("meta"):  # requires no memory: the configuration may claim any size
        student = SPVCNN.from_config(config)
    expected = {name: tuple(value.shape) for name, value in student.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in shapes.items()}
    faults = [f"no '{name}'" for name in expected if name not in found]
    faults += [f"an unknown '{name}'" for name in found if name not in expected]
    faults += [
        f"'{name}' of shape {found[name]} where {shape} is expected"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if faults:
        more = f" and {len(faults) - 1} more differences" if len(faults) > 1 else ""
        raise CheckpointError(
            f"{source}: expected a student of {config.classes} classes, {config.channels} channels and "
            f"{config.past_scans} past scans, found "
            f"{faults[0]}{more}. {remedy}."
        )


def student_from(
    config: StudentConfig,
    state: Mapping[str, Tensor],
    source: object,
    taxonomy: Taxonomy | None = None,
    sensor: SensorSpec | None = None,
    remission: Quantiles | None = None,
) -> SPVCNN:
    """Return a student with weights that fit it, in eval mode.

    Raises:
        CheckpointError: a weight is not finite, or the classes do not fit the taxonomy.
    """
    check_numbers(state, source)
    if taxonomy is not None and len(taxonomy) != config.classes:
        raise CheckpointError(
            f"{source}: expected {len(taxonomy)} logits, the classes of {taxonomy.name} with the ignored one, found "
            f"{config.classes}. Give a student and a taxonomy that belong together."
        )
    try:
        student = SPVCNN.from_config(config, taxonomy, sensor, remission)
    except ConfigError as error:
        raise CheckpointError(f"{source}: {error}") from error
    student.load_state_dict(dict(state), strict=True)
    return student.eval()

"""Student weights on disk: our own files, and published ones. Strict: every key is accounted for.

A student file is a safetensors file whose metadata holds the student's configuration, so it cannot run code and
needs nothing but this package. Lightning checkpoints of our training runs are read too (weights_only).
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor

from elite.config import StudentConfig, from_plain, plain
from elite.errors import CheckpointError, ConfigError
from elite.files import open_regular, parse_json, write_bytes
from elite.student.spvcnn import SPVCNN
from elite.version import __version__
from elite.weights.names import NamedWeights, find_weights, foreign_note
from elite.weights.safetensors_file import open_safetensors
from elite.weights.torch_file import check_numbers, is_array, is_state_dict, kind_of, no_checkpoint, open_torch

FORMAT = "elite-student-1"
AVERAGE = "average.module."  # where a training checkpoint has the moving average of the student, if there is one
WeightLayout = Literal["KRSC", "RSKC", "RSCK"]


def save_student(student: SPVCNN, path: Path) -> None:
    """Write weights and configuration, atomically."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in student.state_dict().items()}
    # One entry, because safetensors writes several in any order: the same student gives the same bytes.
    metadata = {FORMAT: json.dumps({"config": plain(student.config), "version": __version__})}
    write_bytes(path, save(tensors, metadata))


def load_student(path: Path) -> SPVCNN:
    """Return the student of a student file or of a training checkpoint (its moving average, if it has one).

    It is in eval mode.

    Raises:
        CheckpointError: unreadable, of another kind, or its weights do not fit its configuration.
    """
    return (_load_safetensors if _is_safetensors(path) else _load_training_checkpoint)(path)


def _is_safetensors(path: Path) -> bool:
    try:
        with open_regular(path, None) as file:
            start = file.read(9)
    except OSError as error:
        raise no_checkpoint(path, error) from error
    if start[8:] == b"{":  # behind the length of its header
        return True
    if not start.startswith((b"PK", b"\x80")):
        raise CheckpointError(
            f"{path}: expected a student file or a checkpoint, found neither a safetensors nor a torch file. Copy it "
            "again, it may be cut short."
        )
    return False


def _load_safetensors(path: Path) -> SPVCNN:
    with open_safetensors(path) as file:
        if FORMAT not in file.metadata:
            raise CheckpointError(
                f"{path}: expected '{FORMAT}' in the metadata of a student file, found another safetensors file. Make "
                "one with 'elite import-checkpoint' or 'elite export-student'."
            )
        try:
            values = parse_json(file.metadata[FORMAT])["config"]
        except (ValueError, TypeError, KeyError) as error:
            raise CheckpointError(
                f"{path}: expected the student's configuration in its metadata, found damage ({error}). Export the "
                "student again."
            ) from error
        config = _student_config(values, path)
        _check_fit(config, file.shapes, path, remedy="Export the student again")
        return _filled(config, file.read(), path)


def _load_training_checkpoint(path: Path) -> SPVCNN:
    with open_torch(path) as file:
        values, state = file.content.get("elite_config"), file.content.get("state_dict")
        if not isinstance(values, dict) or not is_state_dict(state):
            raise CheckpointError(
                f"{path}: expected a checkpoint of elite train, found the keys {sorted(map(str, file.content))[:5]}. "
                "Convert a published checkpoint with 'elite import-checkpoint' first."
            )
        config = _student_config(values.get("student"), path)
        averaged = any(name.startswith(AVERAGE) for name in state)
        prefix = AVERAGE if averaged else "student."
        shapes = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
        _check_fit(config, shapes, path, remedy="Give another checkpoint of the run")
        return _filled(config, file.read(shapes), path)


def _student_config(values: Any, path: Path) -> StudentConfig:
    try:
        return from_plain(StudentConfig, values)
    except ConfigError as error:
        raise CheckpointError(
            f"{path}: expected the settings of a student, found others: {error} Use the version of elite that wrote it."
        ) from error


def _check_fit(config: StudentConfig, shapes: Mapping[str, Tensor], source: object, *, remedy: str) -> None:
    """Check that these are the weights of such a student: every key and every shape.

    Raises:
        CheckpointError: with the first difference.
    """
    with torch.device("meta"):  # takes no memory: the configuration may claim any size
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
            f"{source}: expected a student of {config.classes} classes and {config.channels} channels, found "
            f"{faults[0]}{more}. {remedy}."
        )


def _filled(config: StudentConfig, state: Mapping[str, Tensor], source: object) -> SPVCNN:
    """Return the student with weights that fit it, in eval mode.

    Raises:
        CheckpointError: one is not finite.
    """
    check_numbers(state, source)
    student = SPVCNN.from_config(config)
    student.load_state_dict(dict(state), strict=True)
    return student.eval()


# ---- published checkpoints ------------------------------------------------------------------------------------


@dataclass
class ImportReport:
    """Every key of a published checkpoint: what it became, or why it was left out.

    Attributes:
        taken: name in our student by name in the file.
        dropped: reason by name in the file.
        weight_layout: how the file stores 3x3x3 weights.
        notes: prefixes that were taken off, and classes that were not opened.
    """

    taken: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    weight_layout: str = ""
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        taken = [f"  {old} -> {new}" for old, new in self.taken.items()]
        dropped = [f"  {old}: {why}" for old, why in self.dropped.items()]
        return [
            f"{len(taken)} keys taken (3x3x3 weights stored as {self.weight_layout})",
            *taken,
            f"{len(dropped)} keys left out",
            *dropped,
            *self.notes,
        ]


# Deliberate gaps, by name: what the published training keeps beside the student.
_DROPPED = {
    "model_3d.criterion.ce_loss.weight": "class weights of the loss, not a part of the network",
    "model_2d.": "the camera network",
    "fusion.": "2D-3D fusion, used in training only",
    "criterion.": "the loss, not a part of the network",
}
_MOST_STAGES = 16  # the coarsest voxels are 2^16 of the finest then
_MARKER = re.compile(r"(?<![^.])model_3d\.")
_BLOCK_PARTS = {
    "layers_in.0": "shortcut",
    "layers_in.1": "shortcut_norm",
    "layers.0": "conv1",
    "layers.1": "norm1",
    "layers.3": "conv2",
    "layers.4": "norm2",
}
_POINT_PARTS = {"layer_in.0": "own", "layer_out.0": "fuse", "layer_out.2": "out", "PPmodel": "block"}


def import_published(
    path: Path, *, layout: WeightLayout | None = None, config: StudentConfig | None = None
) -> tuple[SPVCNN, ImportReport]:
    """Return a 2DPASS or released-ELiTe checkpoint as our student, and what became of every key.

    ``layout`` is how the 3x3x3 weights are stored. KRSC (out, z, y, x, in; spconv 2.2 and later) is recognised by its
    shape. (z, y, x, a, b) may be RSKC (out, in; spconv 2.0, 2.1) or RSCK (in, out; spconv 1.x), which equal channels
    do not distinguish: then it must be given. ``config`` defaults to the published student with the channels and
    classes found in the file.

    Raises:
        CheckpointError: not such a checkpoint, a key is unknown or missing, or the layout cannot be decided.
    """
    with open_torch(path) as file:
        expected, remedy = "keys 'model_3d.*' of 2DPASS or ELiTe", "Give a checkpoint of their training"
        found = find_weights(file.content, _MARKER, path=path, expected=expected, remedy=remedy)
        report = ImportReport(notes=found.notes + foreign_note(file.foreign))
        published = _student_keys(found, report, path)
        report.weight_layout = layout or _layout_of(published, path)
        shapes = _converted(published, report.weight_layout, path)
        report.taken = {found.names[old]: new for old, new in zip(published, shapes, strict=True)}
        config = config or _infer_config(shapes, path)
        _check_fit(config, shapes, path, remedy="Give the whole state_dict of its training, and its own configuration")
        state = file.read(published)
    check_numbers(state, path)
    return _filled(config, _converted(state, report.weight_layout, path), path), report


def _student_keys(found: NamedWeights, report: ImportReport, path: Path) -> dict[str, Tensor]:
    """Return the weights of the student by their published names, and report the rest as left out."""
    kept = {}
    for name, value in found.state.items():
        reason = next((why for start, why in _DROPPED.items() if name.startswith(start)), None)
        if reason:
            report.dropped[found.names[name]] = reason
        elif is_array(value):
            kept[name] = value
        else:
            raise CheckpointError(
                f"{path}: expected a tensor as '{found.names[name]}', found {kind_of(value)}. Save the student's "
                "state_dict alone with torch.save."
            )
    return kept


def _converted(published: Mapping[str, Tensor], layout: str, path: Path) -> dict[str, Tensor]:
    return {_our_name(old, path): _our_value(value, old, layout, path) for old, value in published.items()}


def _our_name(old: str, path: Path) -> str:
    match old.split("."):
        case ["model_3d", "voxel_3d_generator", "PPmodel", "0" | "2" as layer, kind]:
            return f"point_mlp.{'hidden' if layer == '0' else 'out'}.{kind}"
        case ["model_3d", "classifier", layer, kind]:
            return f"classifier.{layer}.{kind}"
        case ["model_3d", "spv_enc", i, "v_enc", b, part, layer, kind] if f"{part}.{layer}" in _BLOCK_PARTS:
            return f"stages.{i}.voxel.{b}.{_BLOCK_PARTS[f'{part}.{layer}']}.{kind}"
        case ["model_3d", "spv_enc", i, "p_enc", "PPmodel", layer, kind]:
            return f"stages.{i}.point.block.{layer}.{kind}"
        case ["model_3d", "spv_enc", i, "p_enc", part, layer, kind] if f"{part}.{layer}" in _POINT_PARTS:
            return f"stages.{i}.point.{_POINT_PARTS[f'{part}.{layer}']}.{kind}"
    raise CheckpointError(
        f"{path}: expected the keys of a published student only, found '{old}'. Nothing was imported; save the "
        "student's weights without it."
    )


def _layout_of(state: Mapping[str, Tensor], path: Path) -> WeightLayout:
    """Return how 3x3x3 weights are stored, by their shapes."""
    kernels = {name: value.shape for name, value in state.items() if value.ndim == 5 and value.shape[2] == 3}
    for name, shape in kernels.items():
        if shape[:3] == (3, 3, 3) and shape[3:] != (3, 3):
            if shape[3] == shape[4]:
                raise CheckpointError(
                    f"{path}: expected a weight layout that shapes show, found '{name}' of shape {tuple(shape)}, which "
                    "is RSKC (spconv 2.0, 2.1) or RSCK (spconv 1.x). Give --weight-layout RSKC or RSCK."
                )
            raise CheckpointError(
                f"{path}: expected as many inputs as outputs, found '{name}' of shape {tuple(shape)}. Give a "
                "checkpoint of 2DPASS or ELiTe."
            )
    return "KRSC"


def _our_value(value: Tensor, name: str, layout: str, path: Path) -> Tensor:
    """Sparse-convolution weights to ours: (27, in, out), and (out, in) for the 1x1x1 ones; others as they are."""
    if value.ndim != 5:
        return value
    if 3 not in value.shape:
        # Every spconv version multiplies by the stored memory seen as (in, out), whatever it calls the axes.
        channels = [n for n in value.shape if n != 1]
        if len(channels) != 2 or channels[0] != channels[1]:
            raise CheckpointError(
                f"{path}: expected a 1x1x1 kernel of C x C, found '{name}' of shape {tuple(value.shape)}. Give a "
                "checkpoint of 2DPASS or ELiTe."
            )
        return value.reshape(channels[0], channels[1]).T.contiguous()
    to_ours: dict[str, Callable[[Tensor], Tensor]] = {
        "KRSC": lambda w: w.permute(1, 2, 3, 4, 0),
        "RSKC": lambda w: w.permute(0, 1, 2, 4, 3),
        "RSCK": lambda w: w,
    }
    weight = to_ours[layout](value)
    if weight.shape[:3] != (3, 3, 3):
        raise CheckpointError(
            f"{path}: expected 3x3x3 weights stored as {layout}, found '{name}' of shape {tuple(value.shape)}. Leave "
            "--weight-layout out, or give another."
        )
    return weight.reshape(27, weight.shape[3], weight.shape[4]).contiguous()


def _infer_config(state: Mapping[str, Tensor], path: Path) -> StudentConfig:
    """Return the published grid with the channels, stages and classes that the weights have."""
    try:
        channels = state["point_mlp.out.weight"].shape[0]
        classes = state["classifier.2.weight"].shape[0]
    except (KeyError, IndexError) as error:
        raise CheckpointError(
            f"{path}: expected the point MLP and the classifier of the published student, found only one or none. "
            "Give the whole state_dict of its training."
        ) from error
    stages = len({name.split(".")[1] for name in state if name.startswith("stages.")})
    strides = [2**i for i in range(min(stages, _MOST_STAGES) + 1)]
    return _student_config({"channels": channels, "classes": classes, "strides": strides}, path)

"""Student weights on disk: our own files, and published ones. Strict: every key is accounted for.

A student file is a safetensors file whose metadata holds the student's configuration, so it cannot run code and
needs nothing but this package. Lightning checkpoints of our training runs are read too (weights_only).
"""

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from elite.config import StudentConfig, from_plain, plain
from elite.errors import CheckpointError, ConfigError
from elite.files import parse_json, write_bytes
from elite.student.spvcnn import SPVCNN
from elite.torch_file import is_state_dict, load_torch, no_checkpoint
from elite.version import __version__

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
    """The student of a student file or of a training checkpoint (its moving average, if it has one), in eval mode.

    Raises:
        CheckpointError: unreadable, of another kind, or its weights do not fit its configuration.
    """
    read = _read_lightning if _is_zip(path) else _read_student_file
    config, state = read(path)
    return _made(config, state, path)


def _made(config: StudentConfig, state: Mapping[str, Tensor], source: object) -> SPVCNN:
    """The student of ``config`` with the weights ``state``, in eval mode; every key and every shape must fit.

    Raises:
        CheckpointError: says which do not, or which is not finite.
    """
    with torch.device("meta"):  # takes no memory: the configuration may claim any size
        _check_fit(SPVCNN.from_config(config), state, source)
    for name, value in state.items():
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise CheckpointError(f"{source}: '{name}' claims more numbers than the file holds; copy it again.")
        if not value.isfinite().all():
            raise CheckpointError(f"{source}: '{name}' holds NaN or infinite numbers; take an earlier checkpoint.")
    student = SPVCNN.from_config(config)
    student.load_state_dict(dict(state), strict=True)
    return student.eval()


def _check_fit(student: SPVCNN, state: Mapping[str, Tensor], source: object) -> None:
    expected = {name: tuple(value.shape) for name, value in student.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
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
            f"{source} does not fit a student of {student.config.classes} classes and {student.config.channels} "
            f"channels: it has {faults[0]}{more}; give the configuration it was trained with."
        )


def _is_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError as error:
        raise no_checkpoint(path, error) from error


def _read_student_file(path: Path) -> tuple[StudentConfig, dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, struct.error) as error:
        raise CheckpointError(
            f"{path} is neither a student file nor a training checkpoint ({error}); it may be cut short, copy it again."
        ) from error
    if FORMAT not in metadata:
        raise CheckpointError(
            f"{path} is a safetensors file without '{FORMAT}' in its metadata; make one with elite "
            "import-checkpoint or export-student."
        )
    try:
        config = parse_json(metadata[FORMAT])["config"]
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} holds no student configuration ({error}); export the student again.") from error
    return _student_config(config, path), state


def _read_lightning(path: Path) -> tuple[StudentConfig, dict[str, Tensor]]:
    checkpoint = load_torch(path)
    config, state = checkpoint.get("elite_config"), checkpoint.get("state_dict")
    if not isinstance(config, dict) or not is_state_dict(state):
        raise CheckpointError(
            f"{path} is no checkpoint of elite train (found the keys {sorted(map(str, checkpoint))[:5]}); "
            "published checkpoints are converted with 'elite import-checkpoint'."
        )
    averaged = any(name.startswith(AVERAGE) for name in state)
    prefix = AVERAGE if averaged else "student."
    student_state = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
    return _student_config(config.get("student"), path), student_state


def _student_config(values: Any, path: Path) -> StudentConfig:
    try:
        return from_plain(StudentConfig, values)
    except ConfigError as error:
        raise CheckpointError(f"{path} holds no student settings: {error} It may be of another version.") from error


# ---- published checkpoints ------------------------------------------------------------------------------------


@dataclass
class ImportReport:
    """Every key of a published checkpoint: what it became, or why it was left out."""

    taken: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    weight_layout: str = ""

    def lines(self) -> list[str]:
        taken = [f"  {old} -> {new}" for old, new in self.taken.items()]
        dropped = [f"  {old}: {why}" for old, why in self.dropped.items()]
        return [
            f"{len(taken)} keys taken (3x3x3 weights stored as {self.weight_layout})",
            *taken,
            f"{len(dropped)} keys left out",
            *dropped,
        ]


# Deliberate gaps, by name: what the published training keeps beside the student.
_DROPPED = {
    "model_3d.criterion.ce_loss.weight": "class weights of the loss, no part of the network",
    "model_2d.": "the camera network",
    "fusion.": "2D-3D fusion, used in training only",
    "criterion.": "the loss, no part of the network",
}
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
    """A 2DPASS or released-ELiTe checkpoint as our student, and what became of every key.

    ``layout`` is how the 3x3x3 weights are stored: KRSC (out, z, y, x, in; spconv 2.2 and later) is told by its
    shape; (z, y, x, a, b) may be RSKC (out, in; spconv 2.0, 2.1) or RSCK (in, out; spconv 1.x), which equal channels
    do not tell apart: then it must be given. ``config`` defaults to the published student with the channels and
    classes found in the file.

    Raises:
        CheckpointError: not such a checkpoint, a key is unknown or missing, or the layout cannot be decided.
    """
    state = load_torch(path).get("state_dict")
    if not is_state_dict(state):
        raise CheckpointError(f"{path} has no 'state_dict' of tensors; expected a published training checkpoint.")
    report = ImportReport()
    published = _student_keys(state, report, path)
    report.weight_layout = layout or _tell_layout(published, path)
    converted: dict[str, Tensor] = {}
    for old, value in published.items():
        new = _our_name(old, path)
        converted[new] = _our_value(value, old, report.weight_layout, path)
        report.taken[old] = new
    return _made(config or _infer_config(converted, path), converted, path), report


def _student_keys(state: dict[str, Tensor], report: ImportReport, path: Path) -> dict[str, Tensor]:
    kept = {}
    for name, value in state.items():
        reason = next((why for start, why in _DROPPED.items() if name.startswith(start)), None)
        if reason:
            report.dropped[name] = reason
        else:
            kept[name] = value
    if not any(name.startswith("model_3d.") for name in kept):
        raise CheckpointError(
            f"{path} has no key 'model_3d.*' (found {sorted(state)[:3]}); expected a 2DPASS or ELiTe checkpoint."
        )
    return kept


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
    raise CheckpointError(f"{path} has a key '{old}' that no published student has; nothing was imported.")


def _tell_layout(state: Mapping[str, Tensor], path: Path) -> WeightLayout:
    kernels = {name: value.shape for name, value in state.items() if value.ndim == 5 and value.shape[2] == 3}
    for name, shape in kernels.items():
        if shape[:3] == (3, 3, 3) and shape[3:] != (3, 3):
            if shape[3] == shape[4]:
                raise CheckpointError(
                    f"{path}: '{name}' of shape {tuple(shape)} may be stored as RSKC (spconv 2.0, 2.1) or RSCK "
                    "(spconv 1.x), which its shape does not tell; give --weight-layout RSKC or RSCK."
                )
            raise CheckpointError(f"{path}: '{name}' has shape {tuple(shape)}, expected as many inputs as outputs.")
    return "KRSC"


def _our_value(value: Tensor, name: str, layout: str, path: Path) -> Tensor:
    """Sparse-convolution weights to ours: (27, in, out), and (out, in) for the 1x1x1 ones; others as they are."""
    if value.ndim != 5:
        return value
    if 3 not in value.shape:
        # Every spconv version multiplies by the stored memory seen as (in, out), whatever it calls the axes.
        channels = [n for n in value.shape if n != 1]
        if len(channels) != 2 or channels[0] != channels[1]:
            raise CheckpointError(f"{path}: '{name}' has shape {tuple(value.shape)}, expected a 1x1x1 kernel of C x C.")
        return value.reshape(channels[0], channels[1]).T.contiguous()
    to_ours: dict[str, Callable[[Tensor], Tensor]] = {
        "KRSC": lambda w: w.permute(1, 2, 3, 4, 0),
        "RSKC": lambda w: w.permute(0, 1, 2, 4, 3),
        "RSCK": lambda w: w,
    }
    weight = to_ours[layout](value)
    if weight.shape[:3] != (3, 3, 3):
        raise CheckpointError(
            f"{path}: '{name}' has shape {tuple(value.shape)}, which is not {layout}; give another --weight-layout."
        )
    return weight.reshape(27, weight.shape[3], weight.shape[4]).contiguous()


def _infer_config(state: Mapping[str, Tensor], path: Path) -> StudentConfig:
    """The published grid with the channels, stages and classes that the weights have."""
    try:
        channels = state["point_mlp.out.weight"].shape[0]
        classes = state["classifier.2.weight"].shape[0]
    except (KeyError, IndexError) as error:
        raise CheckpointError(f"{path} lacks the point MLP or the classifier of the published student.") from error
    stages = len({name.split(".")[1] for name in state if name.startswith("stages.")})
    strides = [2**i for i in range(stages + 1)]
    return _student_config({"channels": channels, "classes": classes, "strides": strides}, path)

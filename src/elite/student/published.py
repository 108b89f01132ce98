"""Import published checkpoints: 2DPASS and the released ELiTe. Every key must be known."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor

from elite.config import StudentConfig
from elite.errors import CheckpointError
from elite.student.networks import student_from
from elite.student.spvcnn import SPVCNN
from elite.student.student_file import student_config
from elite.student.weight_shapes import check_fit
from elite.taxonomy import Taxonomy, default_taxonomy, load_taxonomy
from elite.weights.names import NamedWeights, find_weights, foreign_note
from elite.weights.torch_file import check_numbers, describe_kind, is_array, open_torch

WeightLayout = Literal["KRSC", "RSKC", "RSCK"]


@dataclass
class ImportReport:
    """Imported and skipped keys of a published checkpoint.

    Attributes:
        imported: name in our student by name in the file.
        skipped: reason by name in the file.
        weight_layout: layout of the 3x3x3 weights in the file.
        notes: removed prefixes, and classes that were not opened.
    """

    imported: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    weight_layout: str = ""
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """All keys, for the user."""
        imported = [f"  {old} -> {new}" for old, new in self.imported.items()]
        skipped = [f"  {old}: {reason}" for old, reason in self.skipped.items()]
        return [
            f"{len(imported)} keys imported (3x3x3 weights stored as {self.weight_layout})",
            *imported,
            f"{len(skipped)} keys skipped",
            *skipped,
            *self.notes,
        ]


# Parts of the published training that the student does not contain, with the reason.
_SKIPPED = {
    "model_3d.criterion.ce_loss.weight": "class weights of the loss, not part of the network",
    "model_2d.": "the camera network",
    "fusion.": "2D-3D fusion, used in training only",
    "criterion.": "the loss, not part of the network",
}
_MAX_STAGES = 16  # whose coarsest voxels are 2^16 times the finest
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
    path: Path,
    *,
    layout: WeightLayout | None = None,
    config: StudentConfig | None = None,
    taxonomy: Taxonomy | None = None,
) -> tuple[SPVCNN, ImportReport]:
    """Convert a checkpoint of 2DPASS or the released ELiTe into a student in eval mode.

    Args:
        layout: layout of the 3x3x3 weights. KRSC (out, z, y, x, in; spconv 2.2 and later) is recognised by its shape.
            (z, y, x, a, b) may be RSKC (out, in; spconv 2.0, 2.1) or RSCK (in, out; spconv 1.x), which equal channels
            do not distinguish. This argument is then required.
        config: by default the published student with the channels and classes in the file.
        taxonomy: classes of the logits; None = SemanticKITTI's for 20 classes, nuScenes' for 17.

    Raises:
        CheckpointError: not such a checkpoint, an unknown or missing key, or an ambiguous layout.
    """
    with open_torch(path) as file:
        expected, remedy = "keys 'model_3d.*' of 2DPASS or ELiTe", "Give a checkpoint of their training"
        found = find_weights(file.content, _MARKER, path=path, expected=expected, remedy=remedy)
        report = ImportReport(notes=found.notes + foreign_note(file.foreign))
        published = _student_keys(found, report, path)
        report.weight_layout = layout or _layout_of(published, path)
        shapes = _converted(published, report.weight_layout, path)
        report.imported = {found.names[old]: new for old, new in zip(published, shapes, strict=True)}
        config = config or _inferred_config(shapes, path)
        found_shapes = {name: value.shape for name, value in shapes.items()}
        check_fit(
            config, found_shapes, path, remedy="Give the complete state_dict of its training, and its configuration"
        )
        state = file.read(published)
    check_numbers(state, path)
    weights, taxonomy = _converted(state, report.weight_layout, path), taxonomy or _published_taxonomy(config.classes)
    return student_from(config, weights, path, taxonomy), report


def _published_taxonomy(classes: int) -> Taxonomy:
    nuscenes = load_taxonomy("nuscenes-lidarseg")
    return nuscenes if classes == len(nuscenes) else default_taxonomy(classes)


def _student_keys(found: NamedWeights, report: ImportReport, path: Path) -> dict[str, Tensor]:
    """Return the weights of the student by their published names, and report the other ones as skipped."""
    kept = {}
    for name, value in found.state.items():
        reason = next((reason for start, reason in _SKIPPED.items() if name.startswith(start)), None)
        if reason:
            report.skipped[found.names[name]] = reason
        elif is_array(value):
            kept[name] = value
        else:
            raise CheckpointError(
                f"{path}: expected a tensor as '{found.names[name]}', found {describe_kind(value)}. Save only "
                "the student's state_dict with torch.save."
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
        f"{path}: expected the keys of a published student only, found '{old}'. Save the student's weights without it."
    )


def _layout_of(state: Mapping[str, Tensor], path: Path) -> WeightLayout:
    """Layout of the 3x3x3 weights, by their shapes."""
    kernels = {name: value.shape for name, value in state.items() if value.ndim == 5 and value.shape[2] == 3}
    for name, shape in kernels.items():
        if shape[:3] == (3, 3, 3) and shape[3:] != (3, 3):
            if shape[3] == shape[4]:
                raise CheckpointError(
                    f"{path}: expected a weight layout that shapes determine, found '{name}' of shape {tuple(shape)}, "
                    "which is RSKC (spconv 2.0, 2.1) or RSCK (spconv 1.x). Give --weight-layout RSKC or RSCK."
                )
            raise CheckpointError(
                f"{path}: expected as many inputs as outputs, found '{name}' of shape {tuple(shape)}. Give a "
                "checkpoint of 2DPASS or ELiTe."
            )
    return "KRSC"


def _our_value(value: Tensor, name: str, layout: str, path: Path) -> Tensor:
    """Convert weights of sparse convolutions: 3x3x3 to (27, in, out), 1x1x1 to (out, in); keep other values."""
    if value.ndim != 5:
        return value
    if 3 not in value.shape:
        # Every spconv version reads the stored memory as (in, out), whatever it calls the axes.
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
            f"{path}: expected 3x3x3 weights stored as {layout}, found '{name}' of shape {tuple(value.shape)}. Omit "
            "--weight-layout, or give another."
        )
    return weight.reshape(27, weight.shape[3], weight.shape[4]).contiguous()


def _inferred_config(state: Mapping[str, Tensor], path: Path) -> StudentConfig:
    """The published grid with the channels, stages and classes of the weights."""
    try:
        channels = state["point_mlp.out.weight"].shape[0]
        classes = state["classifier.2.weight"].shape[0]
    except (KeyError, IndexError) as error:
        raise CheckpointError(
            f"{path}: expected the point MLP and the classifier of the published student, found only one or none. "
            "Give the complete state_dict of its training."
        ) from error
    stages = len({name.split(".")[1] for name in state if name.startswith("stages.")})
    strides = [2**i for i in range(min(stages, _MAX_STAGES) + 1)]
    return student_config({"channels": channels, "classes": classes, "strides": strides}, path)

"""Folder that a teacher training writes: a transformers model for ``load_backbone``, and a record of the run.

::

    OUT/config.json  model.safetensors  a transformers folder, for --teacher.weights OUT
        teacher.safetensors             objective classes: taps and heads too, for --teacher.heads pretrained
        training.json                   settings, versions, final losses
"""

import tempfile
from pathlib import Path
from typing import Any

from safetensors.torch import save
from transformers import PreTrainedModel, SamVisionModel
from transformers.models.sam.modeling_sam import SamVisionEncoder

from elite.errors import ConfigError, OutputError, first_line
from elite.files import write_bytes, write_json
from elite.teacher.backbone import Backbone, TransformersBackbone
from elite.teacher.heads import TeacherHeads
from elite.teacher.teacher import HEADS_FILE, pack_heads
from elite.teacher.tensor_file import plain_tensors

_FILES = {"config.json", "model.safetensors", "training.json", HEADS_FILE}


def transformers_model(backbone: Backbone) -> PreTrainedModel:
    """Transformers model that contains ``backbone`` and shares its weights, in a form that ``load_backbone`` reads.

    Raises:
        ConfigError: the backbone is only a part of its architecture.
    """
    model = backbone.model
    if isinstance(model, SamVisionEncoder):
        complete = SamVisionModel(model.config)
        complete.vision_encoder = model
        return complete
    if isinstance(backbone, TransformersBackbone) and isinstance(model, PreTrainedModel):
        return model
    raise ConfigError(
        f"--model: expected SAM's image encoder or a model of transformers' AutoBackbone, found "
        f"{type(model).__name__}. Choose another --model."
    )


def save_model(model: PreTrainedModel, out: Path, record: dict[str, Any], heads: TeacherHeads | None = None) -> None:
    """Write the transformers folder, the trained heads (if given) and training.json.

    The files appear in one move. On failure, the previous content of ``out`` is intact.

    Raises:
        OutputError: the disk is full, or the folder is not writable.
    """
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as parent:
            fresh = Path(parent) / "new"
            write_bytes(fresh / "model.safetensors", save(plain_tensors(model.state_dict()), {"format": "pt"}))
            model.config.save_pretrained(fresh)
            if heads is not None:
                write_bytes(fresh / HEADS_FILE, pack_heads(heads))
            write_json(fresh / "training.json", record)
            _move(fresh, out, Path(parent) / "old")
    except OSError as error:
        raise OutputError(
            f"{out}: expected a folder that can be written, found an error ({first_line(error)}). Free disk space, or "
            "choose another --out."
        ) from error


def _move(fresh: Path, out: Path, old: Path) -> None:
    """Move ``fresh`` to ``out``, and the previous content to ``old``; restore it on failure."""
    if out.exists():
        out.rename(old)
    try:
        fresh.rename(out)
    except BaseException:
        if old.exists():
            old.rename(out)
        raise


def check_out(out: Path, *, overwrite: bool) -> None:
    """Check that a model may be written to ``out``.

    Raises:
        ConfigError: ``out`` contains a model and ``overwrite`` is off, or files of another kind.
    """
    if out == Path.cwd() or out.is_mount():
        raise ConfigError(
            f"{out}: expected a replaceable folder, found the working directory or a mount point. Choose another --out."
        )
    if not out.exists():
        return
    found = {p.name for p in out.iterdir()} if out.is_dir() else {out.name}
    if found - _FILES:
        raise ConfigError(
            f"{out}: expected a model folder, found the file {sorted(found - _FILES)[0]} in it. Choose another --out."
        )
    if found and not overwrite:
        raise ConfigError(f"{out} already contains a model. Choose another --out, or give --overwrite.")

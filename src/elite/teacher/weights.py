"""Foundation model from ``teacher.weights``: transformers folder, hub id, .pth file of Meta, or random weights."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    MODEL_FOR_BACKBONE_MAPPING,
    AutoConfig,
    PretrainedConfig,
    PreTrainedModel,
    Sam2Model,
    Sam2VisionModel,
    SamHQModel,
    SamHQVisionModel,
    SamModel,
    SamVisionModel,
)

from elite.config import TeacherConfig
from elite.errors import CheckpointError, ConfigError, first_line, is_out_of_memory
from elite.teacher.backbone import (
    Backbone,
    Sam2Backbone,
    SamBackbone,
    TransformersBackbone,
    check_depths,
    evenly_spaced,
)
from elite.teacher.pretrained import load_pretrained, read_architecture
from elite.teacher.sam_weights import load_sam
from elite.terminal import say
from elite.weights.reading import too_large

_DOWNLOAD = "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth"

# Image encoder by model type: (model class, name of the encoder). Other types use AutoBackbone.
_ENCODERS: dict[str, tuple[type[PreTrainedModel], str]] = {
    "sam": (SamModel, "vision_encoder"),
    "sam_vision_model": (SamVisionModel, "vision_encoder"),
    "sam_hq": (SamHQModel, "vision_encoder"),
    "sam_hq_vision_model": (SamHQVisionModel, "vision_encoder"),
    "sam2": (Sam2Model, "vision_encoder.backbone"),
    "sam2_video": (Sam2Model, "vision_encoder.backbone"),
    "sam2_vision_model": (Sam2VisionModel, "backbone"),
}


def _vit(width: int, blocks: int, heads: int, global_blocks: list[int]) -> dict[str, Any]:
    sizes = {"hidden_size": width, "mlp_dim": 4 * width, "num_hidden_layers": blocks, "num_attention_heads": heads}
    return sizes | {"global_attn_indexes": global_blocks}


_SAM = {"image_size": 1024, "patch_size": 16, "window_size": 14}
# Architectures of teacher.model: transformers model type and settings. The tiny ones train on a CPU in minutes, on the
# half-size images of the synthetic drive. In the same time, resnet-tiny reaches a higher accuracy than sam-tiny.
_ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "sam-vit-b": ("sam_vision_model", _SAM | _vit(768, 12, 12, [2, 5, 8, 11])),
    "sam-vit-l": ("sam_vision_model", _SAM | _vit(1024, 24, 16, [5, 11, 17, 23])),
    "sam-vit-h": ("sam_vision_model", _SAM | _vit(1280, 32, 16, [7, 15, 23, 31])),
    "sam-tiny": (
        "sam_vision_model",
        {"image_size": 640, "patch_size": 8, "window_size": 10, "output_channels": 32} | _vit(96, 8, 4, [3, 7]),
    ),
    "resnet-tiny": (
        "resnet",
        {"embedding_size": 32, "hidden_sizes": [32, 64, 128, 192], "depths": [2, 2, 2, 2], "layer_type": "basic"},
    ),
}


def load_backbone(config: TeacherConfig, stages: int) -> Backbone:
    """Load the foundation model of ``config.weights`` with ``stages`` taps, in eval mode.

    Raises:
        ConfigError: the weights are not set, or the architecture or a depth is unknown.
        CheckpointError: the weights are unreadable, or do not match the architecture strictly.
    """
    if config.weights is None:
        raise ConfigError(
            "--teacher.weights: expected weights of the vision foundation model, found none. Give a SAM file of Meta "
            f"({_DOWNLOAD}), a transformers folder or hub id, or a folder of 'elite train-teacher'. 'none' trains the "
            "student without a teacher (--config semantickitti-student), and 'random' is for trials."
        )
    if Path(config.weights).is_file():
        return _build_sam(load_sam(Path(config.weights)).vision_encoder, config, stages)
    random = config.weights == "random"
    architecture = _find_architecture(config.model) if random else read_architecture(config.weights)
    source = None if random else config.weights
    kind = architecture.model_type
    if kind not in _ENCODERS:
        return _build_auto_backbone(architecture, source, config, stages)
    cls, where = _ENCODERS[kind]
    encoder = _build_model(cls, architecture, source).get_submodule(where)
    if kind.startswith("sam2"):
        depths = _depths(config, sum(encoder.config.blocks_per_stage), stages)  # type: ignore[union-attr]
        return Sam2Backbone(encoder, depths).eval()
    return _build_sam(encoder, config, stages)


def _build_auto_backbone(
    architecture: PretrainedConfig, source: str | None, config: TeacherConfig, stages: int
) -> Backbone:
    if type(architecture) not in MODEL_FOR_BACKBONE_MAPPING:
        raise ConfigError(
            f"foundation model: expected SAM, SAM 2 or a model that AutoBackbone of transformers supports (DINOv2, "
            f"DINOv3, ...), found '{architecture.model_type}'. Choose another model."
        )
    depths = _depths(config, len(architecture.stage_names) - 1, stages)
    try:
        architecture.out_indices = [d + 1 for d in depths]  # stage 0 is the stem
    except ValueError as error:
        raise ConfigError(
            f"config.json: expected consistent stages, found others ({first_line(error)}). Copy the file again."
        ) from error
    return TransformersBackbone(
        _build_model(MODEL_FOR_BACKBONE_MAPPING[type(architecture)], architecture, source), depths
    ).eval()


def _build_sam(encoder: nn.Module, config: TeacherConfig, stages: int) -> Backbone:
    depths = _depths(config, len(encoder.layers), stages)  # type: ignore[arg-type]
    return SamBackbone(encoder, depths, rel_pos=config.rel_pos).eval()


def _depths(config: TeacherConfig, blocks: int, stages: int) -> tuple[int, ...]:
    if config.depths is None:
        return evenly_spaced(blocks, stages)
    return check_depths(config.depths, blocks, stages)


def _find_architecture(name: str) -> PretrainedConfig:
    """Architecture of this name, or of a transformers folder."""
    if name in _ARCHITECTURES:
        kind, settings = _ARCHITECTURES[name]
        return AutoConfig.for_model(kind, **settings)
    if Path(name).exists():
        return read_architecture(name)
    raise ConfigError(
        f"teacher.model: expected {', '.join(_ARCHITECTURES)} or a folder with a transformers config.json, found "
        f"'{name}'. Correct the name."
    )


def _build_model(cls: Any, architecture: PretrainedConfig, source: str | None) -> nn.Module:
    """Build the model with the weights of ``source``, which must match strictly, or with random weights."""
    if source is None:
        return _build_random(cls, architecture)
    model, missing, unexpected = load_pretrained(cls, architecture, source)
    missing = [name for name in missing if not name.startswith(_ADDED_NORMS)]
    if missing:
        raise CheckpointError(
            f"'{source}': expected all weights of {architecture.model_type}, found {len(missing)} missing, such as "
            f"'{missing[0]}'. Download the weights again, or correct config.json."
        )
    _check_unused(unexpected, model, source)
    return model


def _check_unused(names: list[str], model: nn.Module, source: str) -> None:
    """Report weights outside the image encoder (a classifier, a pooler); refuse blocks that the model lacks."""
    numbered = {re.split(r"\d", name)[0] for name in model.state_dict() if re.search(r"\.\d+\.", name)}
    extra_blocks = [name for name in names if re.split(r"\d", name)[0] in numbered]
    if extra_blocks:
        raise CheckpointError(
            f"'{source}': expected the weights that its config.json describes, found {len(extra_blocks)} others, "
            f"such as '{extra_blocks[0]}'. Download both files again."
        )
    if names:
        say(f"{source}: {len(names)} weights outside the image encoder are not used ({', '.join(names[:3])})")


# Norms that backbones of transformers add after their stages; published weights do not contain them.
_ADDED_NORMS = ("hidden_states_norms.",)


@torch.no_grad()
def _build_random(cls: Any, architecture: PretrainedConfig) -> nn.Module:
    """Build the model with random weights. The initialisation of SAM, which is almost zero, is replaced."""
    try:
        model = cls(architecture).float()
    except Exception as error:  # a config.json can cause any error
        if is_out_of_memory(error):
            raise too_large(f"model {architecture.model_type}") from error
        raise CheckpointError(
            f"config.json: expected a valid {architecture.model_type}, found an invalid one ({first_line(error)}). "
            "Correct --teacher.model."
        ) from error
    for name, parameter in model.named_parameters():
        if "pos_embed" in name or "rel_pos" in name:
            nn.init.normal_(parameter, std=0.02)
        elif parameter.ndim >= 2 and parameter.std() < 1e-3:
            nn.init.trunc_normal_(parameter, std=0.02)
    return model

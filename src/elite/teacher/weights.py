"""From ``teacher.weights`` to a foundation model: transformers folders and hub ids, Meta's .pth files, random ones."""

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
from elite.errors import CheckpointError, ConfigError, first_line
from elite.teacher.backbone import AutoMaps, Backbone, Sam2Backbone, SamBackbone, check_depths, evenly_spaced
from elite.teacher.pretrained import described_by, load_pretrained
from elite.teacher.sam_weights import load_sam
from elite.terminal import say

_DOWNLOAD = "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth"

# The image side of each model type: (its class, where its encoder is). Others go through AutoBackbone.
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
# Names for teacher.model, by transformers model type and settings. The tiny ones can be trained on a CPU in minutes,
# for the synthetic drive's half-size images; of the two the convolutions learn more in the same time.
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
    """The foundation model of ``config.weights`` with ``stages`` taps, in eval mode.

    Raises:
        ConfigError: no weights given, an unknown architecture, or depths that it does not have.
        CheckpointError: weights that cannot be read, or that do not fit strictly.
    """
    if config.weights is None:
        raise ConfigError(
            "no weights for the vision foundation model. Give --teacher.weights: Meta's SAM file "
            f"({_DOWNLOAD}), a transformers folder or hub id, or what 'elite train-teacher' wrote; or 'none' to train "
            "the student without a teacher (--config semantickitti-student), or 'random' for a trial."
        )
    if Path(config.weights).is_file():
        return _as_sam(load_sam(Path(config.weights)).vision_encoder, config, stages)
    random = config.weights == "random"
    described = _architecture(config.model) if random else described_by(config.weights)
    source = None if random else config.weights
    kind = described.model_type
    if kind not in _ENCODERS:
        return _as_maps(described, source, config, stages)
    cls, where = _ENCODERS[kind]
    encoder = _make(cls, described, source).get_submodule(where)
    if kind.startswith("sam2"):
        depths = _depths(config, sum(encoder.config.blocks_per_stage), stages)  # type: ignore[union-attr]
        return Sam2Backbone(encoder, depths).eval()
    return _as_sam(encoder, config, stages)


def _as_maps(described: PretrainedConfig, source: str | None, config: TeacherConfig, stages: int) -> Backbone:
    if type(described) not in MODEL_FOR_BACKBONE_MAPPING:
        raise ConfigError(
            f"transformers offers no maps of a '{described.model_type}'. Take SAM, SAM 2, DINOv2, DINOv3 or another "
            "model that its AutoBackbone supports."
        )
    depths = _depths(config, len(described.stage_names) - 1, stages)
    try:
        described.out_indices = [d + 1 for d in depths]  # stage 0 is the stem
    except ValueError as error:
        raise ConfigError(
            f"the model's config.json does not fit itself: {first_line(error)}; copy it again."
        ) from error
    return AutoMaps(_make(MODEL_FOR_BACKBONE_MAPPING[type(described)], described, source), depths).eval()


def _as_sam(encoder: nn.Module, config: TeacherConfig, stages: int) -> Backbone:
    depths = _depths(config, len(encoder.layers), stages)  # type: ignore[arg-type]
    return SamBackbone(encoder, depths, rel_pos=config.rel_pos).eval()


def _depths(config: TeacherConfig, blocks: int, stages: int) -> tuple[int, ...]:
    if config.depths is None:
        return evenly_spaced(blocks, stages)
    return check_depths(config.depths, blocks, stages)


def _architecture(name: str) -> PretrainedConfig:
    """A named architecture, or that of a transformers folder."""
    if name in _ARCHITECTURES:
        kind, settings = _ARCHITECTURES[name]
        return AutoConfig.for_model(kind, **settings)
    if Path(name).exists():
        return described_by(name)
    raise ConfigError(
        f"teacher.model '{name}' is neither a known architecture ({', '.join(_ARCHITECTURES)}) nor a folder with a "
        "transformers config.json."
    )


def _make(cls: Any, described: PretrainedConfig, source: str | None) -> nn.Module:
    """The model with random weights, or strictly with those of ``source``."""
    if source is None:
        return _random(cls, described)
    model, missing, unexpected = load_pretrained(cls, described, source)
    missing = [name for name in missing if not name.startswith(_FRESH)]
    if missing:
        raise CheckpointError(
            f"'{source}' lacks {len(missing)} weights of {described.model_type}, the first is '{missing[0]}'; it is "
            "cut short or of another model."
        )
    _check_left_out(unexpected, model, source)
    return model


def _check_left_out(names: list[str], model: nn.Module, source: str) -> None:
    """Name the weights in a file beyond the image side (a classifier, a pooler); refuse blocks that the model lacks."""
    numbered = {re.split(r"\d", name)[0] for name in model.state_dict() if re.search(r"\.\d+\.", name)}
    own = [name for name in names if re.split(r"\d", name)[0] in numbered]
    if own:
        raise CheckpointError(
            f"'{source}' holds {len(own)} weights that its config.json has no place for, the first is '{own[0]}'; the "
            "two do not belong together, download both again."
        )
    if names:
        say(f"{source}: {len(names)} weights beyond the image encoder are left out ({', '.join(names[:3])})")


# Norms that transformers' backbones add behind their stages; published weights do not hold them.
_FRESH = ("hidden_states_norms.",)


@torch.no_grad()
def _random(cls: Any, described: PretrainedConfig) -> nn.Module:
    """Random weights that a network can work with: SAM's own initialisation is close to zero everywhere."""
    try:
        model = cls(described).float()
    except Exception as error:  # whatever a config.json asks for
        raise CheckpointError(
            f"no {described.model_type} can be made of what config.json says ({first_line(error)}); check "
            "--teacher.model."
        ) from error
    for name, parameter in model.named_parameters():
        if "pos_embed" in name or "rel_pos" in name:
            nn.init.normal_(parameter, std=0.02)
        elif parameter.ndim >= 2 and parameter.std() < 1e-3:
            nn.init.trunc_normal_(parameter, std=0.02)
    return model

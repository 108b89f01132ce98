"""SAM files of Meta (sam_vit_b, _l, _h .pth), loaded strictly into the SamModel of transformers.

The configuration follows from the shapes, so files of every size are supported. Files of training scripts are supported
as well: weights under "model" or another key, together with other values, and with prefixes.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

from elite.errors import CheckpointError
from elite.terminal import say
from elite.weights.names import find_weights, foreign_note
from elite.weights.torch_file import check_numbers, describe_kind, is_array, open_torch

_FREQUENCIES = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
# Prefixes in transformers and in files of Meta; the first match is used. Also, layer_norm is called norm by Meta.
_NAMES = (
    # One matrix of random frequencies for positions of image and prompts; transformers has two names for it.
    ("shared_image_embedding.positional_embedding", _FREQUENCIES),
    ("prompt_encoder.shared_embedding.positional_embedding", _FREQUENCIES),
    ("prompt_encoder.point_embed.", "prompt_encoder.point_embeddings."),
    ("prompt_encoder.mask_embed.conv1.", "prompt_encoder.mask_downscaling.0."),
    ("prompt_encoder.mask_embed.layer_norm1.", "prompt_encoder.mask_downscaling.1."),
    ("prompt_encoder.mask_embed.conv2.", "prompt_encoder.mask_downscaling.3."),
    ("prompt_encoder.mask_embed.layer_norm2.", "prompt_encoder.mask_downscaling.4."),
    ("prompt_encoder.mask_embed.conv3.", "prompt_encoder.mask_downscaling.6."),
    ("prompt_encoder.", "prompt_encoder."),
    ("vision_encoder.patch_embed.projection.", "image_encoder.patch_embed.proj."),
    ("vision_encoder.neck.conv1.", "image_encoder.neck.0."),
    ("vision_encoder.neck.layer_norm1.", "image_encoder.neck.1."),
    ("vision_encoder.neck.conv2.", "image_encoder.neck.2."),
    ("vision_encoder.neck.layer_norm2.", "image_encoder.neck.3."),
    ("vision_encoder.layers.", "image_encoder.blocks."),
    ("vision_encoder.", "image_encoder."),
    ("mask_decoder.upscale_conv1.", "mask_decoder.output_upscaling.0."),
    ("mask_decoder.upscale_layer_norm.", "mask_decoder.output_upscaling.1."),
    ("mask_decoder.upscale_conv2.", "mask_decoder.output_upscaling.3."),
    ("mask_decoder.", "mask_decoder."),
)
# The normalisation of images is not part of the network.
_SKIPPED = {"pixel_mean", "pixel_std"}
_POSITIONS = "image_encoder.pos_embed"
_MARKER = re.compile(rf"(?<![^.]){re.escape(_POSITIONS)}$")
_HYPERNETWORK_DEPTH = 3
_REMEDY = "Give sam_vit_b, sam_vit_l or sam_vit_h as Meta published it, or the model's transformers folder"


def load_sam(path: Path) -> SamModel:
    """Return the complete SAM (image encoder, prompt encoder, mask decoder) of a file: float32, CPU, eval mode.

    Prints removed prefixes and skipped objects.

    Raises:
        CheckpointError: the file is unreadable or not a SAM, or a key or shape is inconsistent with the others.

    Source: Kirillov et al., Segment Anything, 2023; names and shapes of its released weights.
    """
    with open_torch(path) as file:
        expected = f"the key '{_POSITIONS}' of SAM"
        found = find_weights(file.content, _MARKER, path=path, expected=expected, remedy=_REMEDY)
        shapes = {name: value for name, value in found.state.items() if name not in _SKIPPED}
        for name, value in shapes.items():
            if not is_array(value):
                raise CheckpointError(
                    f"{path}: expected a tensor as '{found.names[name]}', found {describe_kind(value)}. {_REMEDY}."
                )
        model = _empty_model(shapes, path)
        names = {ours: _name_in_file(ours, model) for ours in model.state_dict()}
        _check_fit(shapes, {names[ours]: tuple(value.shape) for ours, value in model.state_dict().items()}, path)
        state = file.read(shapes)
    check_numbers(state, path)
    model.load_state_dict({ours: state[name].float() for ours, name in names.items()}, strict=True, assign=True)
    model.tie_weights()
    for note in found.notes + foreign_note(file.foreign):
        say(f"{path}: {note}")
    return model.eval()


def _name_in_file(name: str, model: SamModel) -> str:
    """Name in files of Meta of the weight with this name in transformers."""
    match name.split("."):
        # Meta numbers the layers of the small networks in the mask decoder consecutively.
        case [*head, "proj_in", kind]:
            return ".".join([*head, "layers", "0", kind])
        case [*head, "layers", i, kind]:
            return ".".join([*head, "layers", str(int(i) + 1), kind])
        case [*head, "proj_out", kind]:
            iou_depth = model.mask_decoder.iou_prediction_head.num_layers
            depth = iou_depth if head[-1] == "iou_prediction_head" else _HYPERNETWORK_DEPTH
            return ".".join([*head, "layers", str(depth - 1), kind])
    ours, metas = next(rule for rule in _NAMES if name.startswith(rule[0]))
    return metas + name.removeprefix(ours).replace("layer_norm", "norm")


def _check_fit(state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], path: Path) -> None:
    found = {name: tuple(value.shape) for name, value in state.items()}
    faults = [
        f"'{name}' of shape {found[name]} where {shape} is expected"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    faults += [f"no '{name}'" for name in expected if name not in found]
    faults += [f"an unknown '{name}'" for name in found if name not in expected]
    if faults:
        more = f" and {len(faults) - 1} more differences" if len(faults) > 1 else ""
        raise CheckpointError(
            f"{path}: expected the weights of the SAM that its shapes describe, found {faults[0]}{more}. {_REMEDY}. "
            "The file may be a variant of SAM, or damaged."
        )


# ---- the configuration, from the shapes -----------------------------------------------------------------------


def _empty_model(state: Mapping[str, Tensor], path: Path) -> SamModel:
    """SamModel with the sizes of the file, on the meta device."""
    vision = _vision_config(state, path)
    try:
        config = SamConfig(
            vision_config=vision,
            prompt_encoder_config=_prompt_encoder_config(state, vision, path),
            mask_decoder_config=_mask_decoder_config(state, vision.output_channels, path),
        )
        with torch.device("meta"):
            return SamModel(config)
    except (ValueError, ZeroDivisionError) as error:
        raise CheckpointError(f"{path}: expected the shapes of a SAM, found others ({error}). {_REMEDY}.") from error


def _vision_config(state: Mapping[str, Tensor], path: Path) -> SamVisionConfig:
    shape = partial(_shape, state, path)
    width, channels, _, patch = shape("image_encoder.patch_embed.proj.weight", 4)
    grid = shape(_POSITIONS, 4)[1]
    out = shape("image_encoder.neck.0.weight", 4)[0]
    blocks = _count(state, "image_encoder.blocks.")
    # Windows of n x n patches have 2 n - 1 relative positions. The window of a global block is the complete grid.
    windows = [(shape(f"image_encoder.blocks.{i}.attn.rel_pos_h", 2)[0] + 1) // 2 for i in range(blocks)]
    return SamVisionConfig(
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=width // shape("image_encoder.blocks.0.attn.rel_pos_h", 2)[1],
        mlp_dim=shape("image_encoder.blocks.0.mlp.lin1.weight", 2)[0],
        num_channels=channels,
        patch_size=patch,
        image_size=grid * patch,
        window_size=next((n for n in windows if n != grid), grid),
        global_attn_indexes=[i for i, n in enumerate(windows) if n == grid],
        output_channels=out,
        num_pos_feats=out // 2,  # a sine and a cosine of each
    )


def _prompt_encoder_config(state: Mapping[str, Tensor], vision: SamVisionConfig, path: Path) -> SamPromptEncoderConfig:
    return SamPromptEncoderConfig(
        hidden_size=vision.output_channels,
        image_size=vision.image_size,
        patch_size=vision.patch_size,
        mask_input_channels=_shape(state, path, "prompt_encoder.mask_downscaling.6.weight", 4)[1],
        num_point_embeddings=4,  # point outside and inside, two corners of a box
    )


def _mask_decoder_config(state: Mapping[str, Tensor], width: int, path: Path) -> SamMaskDecoderConfig:
    shape = partial(_shape, state, path)
    inner, _ = shape("mask_decoder.transformer.final_attn_token_to_image.q_proj.weight", 2)
    return SamMaskDecoderConfig(
        hidden_size=width,
        num_hidden_layers=_count(state, "mask_decoder.transformer.layers."),
        num_attention_heads=8,  # not in the shapes; every SAM has 8
        attention_downsample_rate=width // inner,
        mlp_dim=shape("mask_decoder.transformer.layers.0.mlp.lin1.weight", 2)[0],
        num_multimask_outputs=shape("mask_decoder.mask_tokens.weight", 2)[0] - 1,
        iou_head_depth=_count(state, "mask_decoder.iou_prediction_head.layers."),
        iou_head_hidden_dim=shape("mask_decoder.iou_prediction_head.layers.0.weight", 2)[0],
        layer_norm_eps=1e-5,  # the decoder of Meta has the default of torch; that of transformers is 1e-6
    )


def _shape(state: Mapping[str, Tensor], path: Path, name: str, axes: int) -> tuple[int, ...]:
    if name not in state:
        raise CheckpointError(f"{path}: expected the weights of a SAM, found no '{name}'. {_REMEDY}.")
    found = tuple(state[name].shape)
    if len(found) != axes or 0 in found:
        raise CheckpointError(f"{path}: expected {axes} axes, none empty, found '{name}' of shape {found}. {_REMEDY}.")
    return found


def _count(state: Mapping[str, Tensor], start: str) -> int:
    """Return the number of different indices that follow ``start`` in the names."""
    return len({name.removeprefix(start).split(".")[0] for name in state if name.startswith(start)})

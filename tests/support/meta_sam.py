"""SAM's state dict in Meta's names, from a transformers model."""

import re

import torch
from torch import Tensor
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig

from tests.support.foundation import narrow_sam_config

# Second formulation of the names: rules apply in turn, wherever a pattern occurs.
TO_META = [
    (r"^(shared_image_embedding|prompt_encoder\.shared_embedding)\.positional_embedding$", "prompt_encoder.GAUSSIAN"),
    (r"GAUSSIAN", "pe_layer.positional_encoding_gaussian_matrix"),
    (r"point_embed\.(\d)", r"point_embeddings.\1"),
    (r"mask_embed\.conv1", "mask_downscaling.0"),
    (r"mask_embed\.layer_norm1", "mask_downscaling.1"),
    (r"mask_embed\.conv2", "mask_downscaling.3"),
    (r"mask_embed\.layer_norm2", "mask_downscaling.4"),
    (r"mask_embed\.conv3", "mask_downscaling.6"),
    (r"vision_encoder\.layers", "image_encoder.blocks"),
    (r"vision_encoder", "image_encoder"),
    (r"patch_embed\.projection", "patch_embed.proj"),
    (r"neck\.conv1", "neck.0"),
    (r"neck\.layer_norm1", "neck.1"),
    (r"neck\.conv2", "neck.2"),
    (r"neck\.layer_norm2", "neck.3"),
    (r"upscale_conv1", "output_upscaling.0"),
    (r"upscale_layer_norm", "output_upscaling.1"),
    (r"upscale_conv2", "output_upscaling.3"),
    (r"layer_norm", "norm"),
    (r"(mlps\.\d|iou_prediction_head)\.layers\.1", r"\1.layers.2"),
    (r"(mlps\.\d|iou_prediction_head)\.layers\.0", r"\1.layers.1"),
    (r"proj_in", "layers.0"),
    (r"(mlps\.\d)\.proj_out", r"\1.layers.2"),
]


def meta_state(model: SamModel) -> dict[str, Tensor]:
    """Weights of ``model`` in Meta's names."""
    rules = [*TO_META, (r"proj_out", f"layers.{model.mask_decoder.config.iou_head_depth - 1}")]
    state = {}
    for name, value in model.state_dict().items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        state[name] = value
    return state


def small_sam() -> SamModel:
    """Random model in which, as far as possible, no size is a default or equals another one."""
    sizes = {
        "num_hidden_layers": 4,
        "num_attention_heads": 3,
        "mlp_dim": 100,
        "output_channels": 32,
        "num_pos_feats": 16,
    }
    places = {"image_size": 72, "patch_size": 8, "window_size": 5, "global_attn_indexes": [1, 3]}
    vision = narrow_sam_config(**sizes, **places, initializer_range=1e-10)
    prompt = SamPromptEncoderConfig(hidden_size=32, image_size=72, patch_size=8, mask_input_channels=12)
    decoder = SamMaskDecoderConfig(
        hidden_size=32,
        mlp_dim=40,
        num_hidden_layers=3,
        attention_downsample_rate=4,
        num_multimask_outputs=2,
        iou_head_depth=4,
        iou_head_hidden_dim=24,
        layer_norm_eps=1e-5,
    )
    model = SamModel(SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.2)
    return model

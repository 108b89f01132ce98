"""Small SAM, and its forward pass for training."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

from elite.teacher.backbone import SamBackbone

SIDE, PATCH, WINDOW, WIDTH, NECK = 512, 16, 5, 128, 64  # a window of five patches is half the height of a KITTI image


def small_sam() -> SamModel:
    """SAM with 32 x 32 patches, windows of 5 x 5, two global blocks and masks of 128 x 128.

    Patches of 8 would give finer masks, but train five times slower.
    """
    vision = SamVisionConfig(
        hidden_size=WIDTH,
        num_hidden_layers=6,
        num_attention_heads=4,
        mlp_dim=4 * WIDTH,
        image_size=SIDE,
        patch_size=PATCH,
        window_size=WINDOW,
        global_attn_indexes=[2, 5],
        output_channels=NECK,
        num_pos_feats=NECK // 2,
        initializer_range=0.02,
    )
    prompt = SamPromptEncoderConfig(hidden_size=NECK, image_size=SIDE, patch_size=PATCH)
    decoder = SamMaskDecoderConfig(
        hidden_size=NECK, mlp_dim=4 * NECK, num_attention_heads=4, iou_head_hidden_dim=NECK, layer_norm_eps=1e-5
    )
    model = SamModel(SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder))
    return _initialised(model)


@torch.no_grad()
def _initialised(model: SamModel) -> SamModel:
    """Initialise for training from scratch; transformers' defaults expect published weights."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
    for name, parameter in model.named_parameters():
        if "pos_embed" in name or "rel_pos" in name:
            nn.init.normal_(parameter, std=0.02)
    return model


class Trainee(nn.Module):
    """SAM on the upper rows of its square input. Most of the square is padding, which costs as much as the image."""

    def __init__(self, model: SamModel) -> None:
        super().__init__()
        self.model = model
        self.backbone = SamBackbone(model.vision_encoder, (len(model.vision_encoder.layers) - 1,))

    def forward(self, pixels: Tensor, points: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Return mask logits (prompts, 3, rows, columns) and predicted IoU (prompts, 3).

        Args:
            pixels: (1, 3, rows, side).
            points: (prompts, 1, k, 2), in the network's coordinates.
            masks: (prompts, 1, rows, columns).
        """
        model: Any = self.model
        (features,) = self.backbone.maps(pixels)
        embedding = model.vision_encoder.neck(features.permute(0, 2, 3, 1))
        sparse, dense = model.prompt_encoder(points, torch.ones(points.shape[:3]), None, masks)
        positions = model.get_image_wide_positional_embeddings()[:, :, : embedding.shape[2]]
        wide = [t.expand(len(points), -1, -1, -1) for t in (embedding, positions)]
        logits, iou = model.mask_decoder(*wide, sparse, dense, multimask_output=True)
        return logits[:, 0], iou[:, 0]

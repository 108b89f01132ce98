"""Narrow SAM encoders."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:  # the import takes seconds
    from transformers import SamVisionConfig, SamVisionModel


def narrow_sam_config(**changes: Any) -> "SamVisionConfig":
    """ViT-B's structure with fewer channels: 12 blocks, windows of 14, global attention in 2, 5, 8, 11."""
    from transformers import SamVisionConfig

    sizes = {"hidden_size": 48, "num_hidden_layers": 12, "num_attention_heads": 4, "mlp_dim": 96, "output_channels": 16}
    places = {"image_size": 1024, "patch_size": 16, "window_size": 14, "global_attn_indexes": [2, 5, 8, 11]}
    return SamVisionConfig(**sizes | places | {"initializer_range": 0.05} | changes)


def narrow_sam(*, positions: float = 0.1, biases: float = 0.0, **changes: Any) -> "SamVisionModel":
    """Random narrow SAM encoder.

    ``positions`` and ``biases`` are standard deviations; transformers initialises both to zero.
    """
    from transformers import SamVisionModel

    model = SamVisionModel(narrow_sam_config(**changes)).eval()
    for name, parameter in model.named_parameters():
        if "pos" in name:
            torch.nn.init.normal_(parameter, std=positions)
        elif biases and name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=biases)
    return model


def write_foundation(folder: Path, image_size: int = 512) -> None:
    """Write a SAM of four narrow blocks to ``folder``, as transformers saves it."""
    torch.manual_seed(5)
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "mlp_dim": 32, "output_channels": 8}
    places = {"image_size": image_size, "patch_size": 32, "window_size": 7, "global_attn_indexes": [3]}
    narrow_sam(**sizes, **places, initializer_range=0.1).save_pretrained(folder)

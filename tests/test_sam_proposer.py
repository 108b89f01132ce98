"""SAM as a proposer: against direct calls of transformers' models, and mask prompts worked by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import (
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2MaskDecoderConfig,
    Sam2Model,
    Sam2PromptEncoderConfig,
    Sam2VisionConfig,
    SamConfig,
    SamHQConfig,
    SamHQMaskDecoderConfig,
    SamHQModel,
    SamHQPromptEncoderConfig,
    SamHQVisionConfig,
    SamMaskDecoderConfig,
    SamModel,
    SamPromptEncoderConfig,
    SamVisionConfig,
    SamVisionModel,
)

from elite.errors import CheckpointError, ConfigError, DataError
from elite.pseudo_labels.proposers.placement import full_size, mask_prompts, place, stability, to_square
from elite.pseudo_labels.proposers.sam import Sam
from elite.pseudo_labels.records import Masks, Prompt, Seeds

VISION: dict[str, Any] = {
    "hidden_size": 32,
    "output_channels": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 64,
    "patch_size": 8,
    "window_size": 3,
    "global_attn_indexes": [1],
    "num_pos_feats": 16,
    "mlp_dim": 48,
}
PROMPT: dict[str, Any] = {"hidden_size": 32, "image_size": 64, "patch_size": 8}
DECODER: dict[str, Any] = {"hidden_size": 32, "mlp_dim": 40, "num_attention_heads": 2, "iou_head_hidden_dim": 24}


def randomised(model: Any) -> Any:
    """Weights for which image, points and mask prompt all matter: masks neither empty nor full, IoU within 0..1."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.normal_("norm" in name and name.endswith("weight"), 0.1, generator=generator)
            else:
                known = ("embed" in name or "token" in name) and not ("conv" in name or "proj" in name)
                std = 1 if known else 1.5 * (weight.numel() / len(weight)) ** -0.5
                weight.normal_(std=std, generator=generator)
        head = model.mask_decoder.iou_prediction_head.proj_out
        head.weight *= 0.1
        head.bias += 0.5
    return model.eval()


def small_sam() -> SamModel:
    parts = {
        "prompt_encoder_config": SamPromptEncoderConfig(**PROMPT),
        "mask_decoder_config": SamMaskDecoderConfig(**DECODER),
    }
    return randomised(SamModel(SamConfig(vision_config=SamVisionConfig(**VISION), **parts)))


def small_sam_hq() -> SamHQModel:
    parts = {
        "prompt_encoder_config": SamHQPromptEncoderConfig(**PROMPT),
        "mask_decoder_config": SamHQMaskDecoderConfig(**DECODER, vit_dim=32),
    }
    return randomised(SamHQModel(SamHQConfig(vision_config=SamHQVisionConfig(**VISION), **parts)))


def small_sam2() -> Sam2Model:
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[64, 64],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 2, 2, 2],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[2, 2],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=32,
    )
    prompt = Sam2PromptEncoderConfig(hidden_size=32, image_size=64, patch_size=16)
    decoder = Sam2MaskDecoderConfig(**DECODER)
    return randomised(
        Sam2Model(Sam2Config(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder))
    )


def scene(size: tuple[int, int], rng: np.random.Generator, count: int = 40) -> tuple[np.ndarray, Seeds]:
    """An image and seeds of two cars, a road in two patches, and a building."""
    flat = rng.choice(size[0] * size[1], count, replace=False)
    pixel = np.stack(np.divmod(flat, size[1]), axis=1)
    label, instance = np.array([1, 1, 9, 9, 13], np.uint8), np.array([4, 7, 0, 0, 0], np.uint16)
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    return image, Seeds(pixel, rng.integers(0, 5, count), np.ones(count), label, instance, size)


def prompts_of(seeds: Seeds, points: list[int], rng: np.random.Generator) -> list[Prompt]:
    chosen = [rng.integers(0, len(seeds), n) for n in points]
    return [Prompt(int(seeds.segment[rows[0]]), seeds.pixel[rows]) for rows in chosen]


def direct(model: Any, image: np.ndarray, seeds: Seeds, prompt: Prompt, sam: Sam) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits at full size and IoU of one prompt, through the model's own front door and in the order of the paper."""
    height, width = seeds.size
    side = model.config.prompt_encoder_config.image_size
    scale = side / max(seeds.size)
    rows, columns = int(height * scale + 0.5), int(width * scale + 0.5)
    resized = np.asarray(Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR)).astype(np.float32)
    pixels = (resized / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    square = np.zeros((1, 3, side, side), np.float32)
    square[0, :, :rows, :columns] = pixels.transpose(2, 0, 1)
    points = (prompt.points[:, ::-1] + 0.5) * (columns / width, rows / height) - 0.5
    drawn = mask_prompts(seeds, place(model.config, seeds.size), [prompt])
    with torch.no_grad():
        out = model(
            pixel_values=torch.from_numpy(square),
            input_points=torch.from_numpy(points).float()[None, None],
            input_masks=torch.from_numpy(drawn)[None],
        )
    up = F.interpolate(out.pred_masks[0], (side, side), mode="bilinear")[..., :rows, :columns]
    return F.interpolate(up, seeds.size, mode="bilinear")[0], out.iou_scores[0, 0]


def assert_same(found: Masks, i: int, logits: torch.Tensor, iou: torch.Tensor) -> None:
    mine = found.prompt == i
    clear = logits.abs().numpy() > 1e-4  # elsewhere rounding decides
    assert ((found.inside[mine] == (logits > 0).numpy()) | ~clear).all()
    assert np.allclose(found.iou[mine], iou.clamp(0, 1), atol=1e-5)


# ---- the same answers as the models themselves ----------------------------------------------------------------


@pytest.mark.parametrize("size", [(22, 80), (80, 22), (40, 30), (64, 64)], ids=["wide", "portrait", "tiny", "square"])
def test_sam_proposer_equals_transformers(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    model, (image, seeds) = small_sam(), scene(size, rng)
    sam, prompts = Sam(model), prompts_of(seeds, [1, 3, 1, 2, 1], rng)
    found = sam.open(image, seeds).propose(prompts)
    assert found.inside.shape == (15, *size)
    assert found.prompt.tolist() == np.repeat(range(5), 3).tolist()
    for i, prompt in enumerate(prompts):
        assert_same(found, i, *direct(model, image, seeds, prompt, sam))
    assert 0.1 < found.inside.mean() < 0.9
    assert np.unique(found.iou).size == 15


def test_sam_proposer_equals_the_published_sam(real_data: Path) -> None:
    """The published network of narrow width, from Meta's file: 1024 pixels, masks and mask prompts of 256."""
    rng = np.random.default_rng(1)
    sam = Sam.load(str(real_data / "published-sam" / "sam_narrow.pth"), device="cpu")
    image, seeds = scene((188, 621), rng, 300)
    prompts = prompts_of(seeds, [1, 1], rng)
    found = sam.open(image, seeds).propose(prompts)
    for i, prompt in enumerate(prompts):
        assert_same(found, i, *direct(sam.model, image, seeds, prompt, sam))
    assert sam.describe()["architecture"] == "sam"


def test_sam_proposer_batch_equals_single_prompts() -> None:
    rng = np.random.default_rng(2)
    image, seeds = scene((30, 64), rng)
    session = Sam(small_sam(), batch=16).open(image, seeds)
    prompts = prompts_of(seeds, [1 + i % 3 for i in range(16)], rng)
    together, apart = session.propose(prompts), [session.propose([p]) for p in prompts]
    assert np.allclose(together.iou, np.concatenate([m.iou for m in apart]), atol=1e-5)
    assert np.mean(together.inside != np.concatenate([m.inside for m in apart])) < 1e-4
    assert len(session.propose([])) == 0


@pytest.mark.parametrize("make", [small_sam, small_sam_hq, small_sam2], ids=["sam", "sam_hq", "sam2"])
def test_sam_proposer_of_every_architecture_proposes_masks(make: Any) -> None:
    """The image is encoded once for all prompts; each prompt has its own three masks."""
    rng = np.random.default_rng(3)
    sam, (image, seeds) = Sam(make(), batch=2), scene((20, 50), rng)
    runs: list[int] = []
    sam.model.vision_encoder.register_forward_hook(lambda *_: runs.append(1))  # type: ignore[union-attr]
    session, prompts = sam.open(image, seeds), prompts_of(seeds, [1, 1, 1, 1, 2], rng)
    found, alone = session.propose(prompts), session.propose(prompts[2:3])
    assert len(runs) == 1
    assert found.inside.shape == (15, 20, 50)
    assert found.iou.dtype == found.stability.dtype == np.float32
    assert np.allclose(found.iou[6:9], alone.iou, atol=1e-5)
    assert (found.inside[:3] != found.inside[3:6]).any()
    assert ((found.stability >= 0) & (found.stability <= 1)).all()


def test_sam2_proposer_encodes_the_padded_square() -> None:
    """Both sides are stretched: nothing is padded, and row 19 of 20 is at the bottom."""
    model = small_sam2()
    placement = place(model.config, (20, 50))
    assert placement.inner == (64, 64)
    assert placement.cells == (16, 16)
    assert placement.cell(np.array([[0, 0], [19, 49], [10, 24]])).tolist() == [[0, 0], [15, 15], [8, 7]]
    pixels = to_square(np.full((20, 50, 3), 255, np.uint8), placement)
    assert torch.allclose(pixels[0, :, 63, 63], torch.tensor([2.2489, 2.4286, 2.6400]), atol=1e-3)


def test_sam_proposer_bf16_is_close_to_float32() -> None:
    rng = np.random.default_rng(4)
    image, seeds = scene((30, 64), rng)
    prompts = prompts_of(seeds, [1, 1], rng)
    exact, rough = (Sam(small_sam(), precision=p).open(image, seeds).propose(prompts) for p in ("fp32", "bf16"))  # type: ignore[arg-type]
    assert np.mean(exact.inside != rough.inside) < 0.05
    assert rough.iou.dtype == np.float32
    assert (exact.iou != rough.iou).any()


# ---- by hand --------------------------------------------------------------------------------------------------


def asking(*segments: int) -> list[Prompt]:
    """A prompt for each, with a logit of its own for every kind of seed."""
    nowhere = np.zeros((1, 2), np.int64)
    return [
        Prompt(s, nowhere, segment_logit=9.0, class_logit=2.0, object_logit=-6.0, other_logit=-7.0) for s in segments
    ]


def test_mask_prompt_worked_by_hand() -> None:
    """An image of 8 x 16 in a square of 64 pixels and 32 cells: two cells a pixel, its middle in the second of them."""
    placement = place(small_sam().config, (8, 16))
    assert placement.inner == (32, 64)
    assert placement.cells == (16, 32)
    pixel = np.array([[0, 0], [1, 2], [3, 4], [7, 15], [5, 5]])
    seeds = Seeds(
        pixel,
        np.array([0, 1, 2, 3, 4]),
        np.ones(5),
        np.array([1, 1, 1, 9, 9], np.uint8),  # cars 5 and 6, a car without a number, and road in two patches
        np.array([5, 6, 0, 0, 0], np.uint16),
        (8, 16),
    )
    at = (2 * pixel + 1).T
    maps = mask_prompts(seeds, placement, asking(0, 2, 3))
    assert maps[:, at[0], at[1]].tolist() == [[9, -6, 2, -7, -7], [-6, -6, 9, -7, -7], [-7, -7, -7, 9, 2]]
    assert (maps != 0).sum() == 15


def test_mask_prompt_shared_cell_belongs_to_its_segment() -> None:
    """An image of 256 pixels in 32 cells: 8 pixels share a cell, with seeds of both patches of road and of a car."""
    pixel = np.array([[0, 1], [0, 2], [0, 3]])
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        segment, label = np.array(order), np.array([9, 9, 1], np.uint8)
        seeds = Seeds(pixel, segment, np.ones(3), label, np.zeros(3, np.uint16), (256, 256))
        maps = mask_prompts(seeds, place(small_sam().config, seeds.size), asking(0, 1, 2))
        assert maps[:, 0, 0].tolist() == [9, 9, 9]
    seeds = Seeds(pixel[:2], np.array([1, 2]), np.ones(2), label, np.zeros(3, np.uint16), (256, 256))
    maps = mask_prompts(seeds, place(small_sam().config, seeds.size), asking(0))
    assert maps[0, 0, 0] == 2


def test_stability_worked_by_hand() -> None:
    """Of 16 rows x 32 columns of cells on the image; what lies in the padding does not count."""
    placement = place(small_sam().config, (8, 16))
    logits = torch.full((1, 2, 32, 32), -3.0)
    logits[0, 0, 0, :6] = torch.tensor([2.0, 2.0, 1.5, 0.5, -0.5, -1.0])  # 3 above 1, 5 above -1
    logits[0, 0, 20] = 0.5
    assert stability(logits, placement).tolist() == [[pytest.approx(0.6), 0.0]]


def test_full_size_masks_equal_linear_interpolation() -> None:
    """Logits that rise evenly from left to right do so at full size too, up to the last cell at the right edge."""
    placement = place(small_sam().config, (8, 16))
    middles = (torch.arange(32) + 0.5) / 32 * 16  # in pixels of the image
    found = full_size(middles.expand(1, 1, 32, 32), placement)[0, 0]
    assert found.shape == (8, 16)
    assert torch.allclose(found, (torch.arange(16) + 0.5).expand(8, 16), atol=1e-5)


# ---- loading and describing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [small_sam, small_sam_hq, small_sam2], ids=["sam", "sam_hq", "sam2"])
def test_sam_proposer_folder_round_trip_is_exact(tmp_path: Path, make: Any) -> None:
    model = make()
    model.save_pretrained(tmp_path)
    loaded, original = Sam.load(str(tmp_path), device="cpu", max_prompts=9), Sam(model)
    assert type(loaded.model) is type(model)
    assert loaded.max_prompts == 9
    assert loaded.weights_hash == original.weights_hash
    with torch.no_grad():
        next(model.mask_decoder.parameters())[0, 0] += 1e-3
    assert Sam(model).weights_hash != loaded.weights_hash
    assert loaded.describe()["architecture"] == model.config.model_type


def test_sam_proposer_of_an_encoder_only_is_refused(tmp_path: Path) -> None:
    SamVisionModel(SamVisionConfig(**VISION)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"image encoder without a mask decoder"):
        Sam.load(str(tmp_path))


def test_sam_proposer_of_other_weights_is_refused(tmp_path: Path) -> None:
    model = small_sam()
    model.save_pretrained(
        tmp_path / "short", state_dict={k: v for k, v in model.state_dict().items() if "iou" not in k}
    )
    with pytest.raises(
        CheckpointError, match=r"all weights of sam, found \d+ missing, such as 'mask_decoder\.iou_pred"
    ):
        Sam.load(str(tmp_path / "short"))
    model.save_pretrained(tmp_path / "long", state_dict=model.state_dict() | {"mask_decoder.more": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"all weights of sam, found 1 unknown, such as 'mask_decoder\.more'"):
        Sam.load(str(tmp_path / "long"))
    with pytest.raises(CheckpointError, match="does not exist"):
        Sam.load(str(tmp_path / "absent"))


def test_sam_proposer_impossible_settings_are_refused() -> None:
    image, seeds = scene((20, 50), np.random.default_rng(5))
    with pytest.raises(DataError, match=r"expected 20 x 50 pixels .* found 50 x 20"):
        Sam(small_sam()).open(np.ascontiguousarray(image.transpose(1, 0, 2)), seeds)
    with pytest.raises(ConfigError, match="device: expected"):
        Sam(small_sam(), device="abacus")

"""The teacher: foundation models as feature maps, SAM on crops, taps, heads, samples at pixels."""

import json
import math
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    AutoBackbone,
    AutoConfig,
    Sam2HieraDetConfig,
    Sam2VisionConfig,
    Sam2VisionModel,
    SamVisionModel,
)

from elite.batches import Pixels
from elite.config import AdapterConfig, TeacherConfig
from elite.errors import CheckpointError, ConfigError
from elite.teacher.backbone import MEAN, STD, Sam2Backbone, SamBackbone, evenly_spaced
from elite.teacher.heads import Tap
from elite.teacher.qkv import fuse_qkv, split_qkv
from elite.teacher.sampling import sample
from elite.teacher.teacher import Teacher
from elite.teacher.weights import load_backbone
from tests.support.foundation import narrow_sam


@pytest.fixture(scope="module")
def narrow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("sam")
    narrow_sam(positions=2.0).save_pretrained(folder)
    return folder


def random_images(height: int, width: int, views: int = 1) -> Tensor:
    return torch.randint(0, 256, (views, 3, height, width), dtype=torch.uint8)


def normalised(images: Tensor) -> Tensor:
    return (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


@torch.no_grad()
def test_backbone_of_a_square_image_equals_transformers(tmp_path: Path) -> None:
    narrow_sam(positions=2.0, image_size=512).save_pretrained(tmp_path)
    backbone = load_backbone(TeacherConfig(weights=str(tmp_path)), stages=4)
    assert backbone.depths == (2, 5, 8, 11)
    images = random_images(512, 512)
    reference = SamVisionModel.from_pretrained(tmp_path).eval()
    hidden = reference(normalised(images), output_hidden_states=True).hidden_states
    # transformers lists the input of every block, so block k's output is entry k + 1
    for tap, depth in zip(backbone(images), backbone.depths, strict=True):
        assert tap.std() > 0.1
        assert (tap - hidden[depth + 1].permute(0, 3, 1, 2)).abs().max() < 1e-4


@torch.no_grad()
def test_backbone_of_a_crop_equals_sliced_position_tables() -> None:
    """20 x 64 patches against attention written out: the offset of each pair indexes the table."""
    model = narrow_sam(positions=2.0)
    images = random_images(320, 1024)
    taps = SamBackbone(model.vision_encoder, (2, 5, 8, 11))(images)
    x = model.vision_encoder.patch_embed.projection(normalised(images)).permute(0, 2, 3, 1)
    x = x + model.vision_encoder.pos_embed[:, :20, :64]
    expected = []
    for layer in model.vision_encoder.layers:
        x = slow_block(layer, x)
        expected.append(x)
    for tap, depth in zip(taps, (2, 5, 8, 11), strict=True):
        assert (tap - expected[depth].permute(0, 3, 1, 2)).abs().max() < 1e-4


def slow_block(layer: nn.Module, x: Tensor) -> Tensor:
    normed = layer.layer_norm1(x)[0]
    rows, columns, channels = normed.shape
    side = layer.window_size
    if side == 0:
        attended = slow_attention(layer.attn, normed)
    else:
        padded = torch.zeros(math.ceil(rows / side) * side, math.ceil(columns / side) * side, channels)
        padded[:rows, :columns] = normed
        for r in range(0, len(padded), side):
            for c in range(0, padded.shape[1], side):
                window = padded[r : r + side, c : c + side].clone()
                padded[r : r + side, c : c + side] = slow_attention(layer.attn, window)
        attended = padded[:rows, :columns]
    x = x + attended
    return x + layer.mlp(layer.layer_norm2(x))


def slow_attention(attn: nn.Module, x: Tensor) -> Tensor:
    rows, columns, channels = x.shape
    heads = attn.num_attention_heads
    q, k, v = attn.qkv(x).view(rows * columns, 3, heads, channels // heads).unbind(1)
    row = torch.arange(rows).repeat_interleave(columns)
    column = torch.arange(columns).repeat(rows)
    middle = len(attn.rel_pos_h) // 2
    down = attn.rel_pos_h[row[:, None] - row + middle]
    across = attn.rel_pos_w[column[:, None] - column + middle]
    out = torch.empty(rows * columns, heads, channels // heads)
    for head in range(heads):
        scores = q[:, head] @ k[:, head].T / math.sqrt(channels // heads)
        scores += torch.einsum("ic,ijc->ij", q[:, head], down) + torch.einsum("ic,ijc->ij", q[:, head], across)
        out[:, head] = scores.softmax(dim=1) @ v[:, head]
    return attn.proj(out.view(rows, columns, channels))


@torch.no_grad()
def test_backbone_with_interpolated_tables_differs_from_sliced(narrow_folder: Path) -> None:
    images = random_images(320, 1024)
    sliced, stretched = (
        load_backbone(TeacherConfig(weights=str(narrow_folder), rel_pos=option), stages=4)(images)[-1]
        for option in ("slice", "interpolate")
    )
    assert (sliced - stretched).abs().max() > 0.05


def tiny_models() -> dict[str, tuple[nn.Module, list[int], list[int]]]:
    """A model of each kind, with the strides and channels of its four default taps."""
    vit = {"hidden_size": 48, "num_hidden_layers": 8, "num_attention_heads": 4, "intermediate_size": 96}
    hiera = Sam2HieraDetConfig(
        hidden_size=16,
        blocks_per_stage=[1, 2, 3, 2],
        embed_dim_per_stage=[16, 32, 64, 128],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        global_attention_blocks=[4],
        image_size=[256, 256],
    )
    sam2 = Sam2VisionConfig(backbone_config=hiera, backbone_channel_list=[128, 64, 32, 16], fpn_hidden_size=16)
    auto = {
        "dinov2": AutoConfig.for_model("dinov2", patch_size=14, image_size=56, **vit),
        "dinov3_vit": AutoConfig.for_model("dinov3_vit", patch_size=16, image_size=64, **vit),
        "convnext": AutoConfig.for_model("convnext", hidden_sizes=[16, 32, 64, 128], depths=[1, 1, 2, 1]),
        "swin": AutoConfig.for_model(
            "swin", embed_dim=16, depths=[1, 1, 2, 1], num_heads=[1, 2, 4, 8], window_size=4, image_size=64
        ),
    }
    pyramid = ([4, 8, 16, 32], [16, 32, 64, 128])
    flat = {"dinov2": ([14] * 4, [48] * 4), "dinov3_vit": ([16] * 4, [48] * 4)}
    models = {name: (AutoBackbone.from_config(c), *flat.get(name, pyramid)) for name, c in auto.items()}
    return {"sam2": (Sam2VisionModel(sam2), [8, 16, 16, 32], [32, 64, 64, 128]), **models}  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["sam2", "dinov2", "dinov3_vit", "convnext", "swin"])
def test_load_backbone_of_any_model_gives_feature_maps(name: str, tmp_path: Path) -> None:
    model, strides, channels = tiny_models()[name]
    model.save_pretrained(tmp_path)  # type: ignore[operator]
    backbone = load_backbone(TeacherConfig(weights=str(tmp_path)), stages=4)
    assert list(backbone.strides) == strides
    assert list(backbone.channels) == channels
    size = (2 * 32 * 7, 3 * 32 * 7) if name == "dinov2" else (64, 192)
    maps = backbone(random_images(*size, views=2))
    assert [tuple(m.shape) for m in maps] == [
        (2, c, size[0] // s, size[1] // s) for s, c in zip(strides, channels, strict=True)
    ]
    teacher = Teacher(backbone, channels=8)
    quarter = [m.shape[2:] for m in teacher(random_images(*size))]
    assert all(size[0] // 4 <= h <= 1.2 * size[0] // 4 and w >= size[1] // 4 for h, w in quarter)
    assert len(backbone.block_list()) in (4, 8)


@torch.no_grad()
def test_load_backbone_uses_the_saved_weights(tmp_path: Path) -> None:
    """Against transformers itself, for a model that goes through AutoBackbone."""
    model = tiny_models()["dinov2"][0]
    nn.init.normal_(model.embeddings.position_embeddings, std=0.5)  # type: ignore[union-attr]
    model.save_pretrained(tmp_path)  # type: ignore[operator]
    images = random_images(56, 112)
    backbone = load_backbone(TeacherConfig(weights=str(tmp_path), depths=(0, 7)), stages=2)
    hidden = model.eval()(normalised(images), output_hidden_states=True).hidden_states
    expected = model.layernorm(hidden[8])[:, 1:].view(1, 4, 8, 48).permute(0, 3, 1, 2)  # type: ignore[operator]
    assert (backbone(images)[1] - expected).abs().max() < 1e-5


def test_teacher_blocks_below_the_first_adapter_build_no_graph(narrow_folder: Path) -> None:
    adapter = AdapterConfig(first_block=6)
    config = TeacherConfig(weights=str(narrow_folder), channels=8, adapter=adapter)
    teacher = Teacher.build(config, stages=4, classes=20, total_steps=60)
    assert [m.requires_grad for m in teacher.backbone(random_images(64, 96))] == [False, False, True, True]


@pytest.mark.parametrize("method", ["adalora", "lora", "full"])
def test_teacher_blocks_after_the_last_tap_are_not_adapted(narrow_folder: Path, method: Any) -> None:
    """Processes that train together would wait for their gradients."""
    settings: dict[str, Any] = {"weights": str(narrow_folder), "depths": (0, 1, 3, 4), "channels": 8}
    config = TeacherConfig(**settings, adapter=AdapterConfig(method=method))
    teacher = Teacher.build(config, stages=4, classes=20, total_steps=60)
    trained = trained_by_a_gradient(teacher)
    assert {name.split(".")[1] for name in trained if name.startswith("layers.")} == set("01234")
    assert len(teacher.adapter.ranks()) == (5 * 6 if method == "adalora" else 0)  # type: ignore[union-attr]
    beyond = TeacherConfig(**settings, adapter=AdapterConfig(method=method, first_block=5))
    with pytest.raises(ConfigError, match=r"first_block: expected a block 0\.\.4"):
        Teacher.build(beyond, stages=4, classes=20, total_steps=60)


@pytest.mark.parametrize(
    ("name", "idle"),
    [("dinov2", "embeddings.mask_token"), ("swin", "swin.encoder.layers.1.downsample."), ("sam2", "blocks.2.")],
)
@pytest.mark.parametrize("method", ["full", "lora"])
def test_teacher_parameters_without_a_tap_are_frozen(name: str, idle: str, method: Any, tmp_path: Path) -> None:
    tiny_models()[name][0].save_pretrained(tmp_path)  # type: ignore[operator]
    config = TeacherConfig(weights=str(tmp_path), depths=(0, 1), channels=8, adapter=AdapterConfig(method=method))
    teacher = Teacher.build(config, stages=2, classes=20, total_steps=60)
    assert any(n.startswith(idle) for n, _ in teacher.backbone.model.named_parameters())
    assert not any(n.startswith(idle) for n in trained_by_a_gradient(teacher))


def trained_by_a_gradient(teacher: Teacher) -> tuple[str, ...]:
    """Names of the trained parameters of the foundation model; check that each gets a gradient."""
    maps = teacher.backbone(random_images(*teacher.backbone.smallest_size()))
    torch.stack([m.sum() for m in maps]).sum().backward()
    adapter, parameters = teacher.adapter, dict(teacher.backbone.model.named_parameters())
    assert adapter is not None
    assert adapter.trained
    assert [n for n in adapter.trained if parameters[n].grad is None] == []
    return adapter.trained


@torch.no_grad()
def test_split_qkv_of_a_widening_stage_keeps_its_output() -> None:
    backbone = Sam2Backbone(tiny_models()["sam2"][0].backbone.eval(), (0, 2, 5, 7))  # type: ignore[union-attr]
    images = random_images(64, 96)
    before, names = backbone(images), set(backbone.state_dict())
    split_qkv(backbone)
    widening: Any = backbone.block_list()[1].attn.qkv  # type: ignore[union-attr]
    assert (widening.q.in_features, widening.q.out_features) == (16, 32)
    for a, b in zip(backbone(images), before, strict=True):
        assert (a - b).abs().max() < 1e-5
    fuse_qkv(backbone)
    assert set(backbone.state_dict()) == names


def test_load_backbone_of_another_image_size_is_refused(tmp_path: Path) -> None:
    blocks = {"embed_dim": 16, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8]}
    AutoConfig.for_model("hiera", image_size=[64, 64], **blocks).save_pretrained(tmp_path / "hiera")
    backbone = load_backbone(TeacherConfig(weights="random", model=str(tmp_path / "hiera")), stages=4)
    assert [m.shape[1:] for m in backbone(random_images(64, 64))] == [(16, 16, 16), (32, 8, 8), (64, 4, 4), (128, 2, 2)]
    with pytest.raises(ConfigError, match=r"HieraBackbone: expected images of 64 x 64 pixels, found 64 x 128"):
        backbone.check_size(64, 128)
    with (
        patch.object(type(backbone), "maps", side_effect=torch.OutOfMemoryError("CUDA out of memory.")),
        pytest.raises(torch.OutOfMemoryError),
    ):
        backbone.check_size(128, 64)
    vit = {"hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4, "image_size": [64, 48]}
    AutoConfig.for_model("vitpose_backbone", **vit).save_pretrained(tmp_path / "pose")
    with pytest.raises(ConfigError, match=r"VitPoseBackbone: expected maps \(b, c, h, w\), found"):
        load_backbone(TeacherConfig(weights="random", model=str(tmp_path / "pose")), stages=4)


@pytest.mark.slow
@torch.no_grad()
def test_teacher_of_sam_vit_b_starts_as_sam_vit_b() -> None:
    torch.manual_seed(3)
    images = random_images(320, 1024)
    maps, sizes = [], []
    for method in ("frozen", "adalora"):
        torch.manual_seed(4)
        config = TeacherConfig(weights="random", model="sam-vit-b", adapter=AdapterConfig(method=method))
        teacher = Teacher.build(config, stages=4, classes=20, total_steps=1000)
        maps.append(teacher.backbone(images))
        sizes.append(teacher.summary())
    assert all(m.std() > 0.01 for m in maps[0])
    assert all((a - b).abs().max() < 1e-4 for a, b in zip(*maps, strict=True))
    assert sizes[1]["foundation model, trained"] == 1_991_520
    assert sizes[1]["teacher taps, trained"] == 2_656_896
    assert sizes[0]["foundation model, trained"] == 0


def test_teacher_of_every_architecture_is_adapted_by_default(tmp_path: Path) -> None:
    for name in ("sam2", "dinov3_vit", "convnext"):
        model = tiny_models()[name][0]
        model.save_pretrained(tmp_path / name)  # type: ignore[operator]
        config = TeacherConfig(weights=str(tmp_path / name), channels=8)
        teacher = Teacher.build(config, stages=4, classes=20, total_steps=60)
        assert teacher.summary()["foundation model, trained"] > 1000


def test_load_backbone_of_extra_blocks_is_refused(narrow_folder: Path, tmp_path: Path) -> None:
    settings = json.loads((narrow_folder / "config.json").read_text()) | {"num_hidden_layers": 8}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "model.safetensors").write_bytes((narrow_folder / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"that its config.json describes, found .*layers\.10"):
        load_backbone(TeacherConfig(weights=str(tmp_path)), stages=4)


def test_load_backbone_of_half_precision_gives_float32(narrow_folder: Path, tmp_path: Path) -> None:
    SamVisionModel.from_pretrained(narrow_folder).half().save_pretrained(tmp_path)
    backbone = load_backbone(TeacherConfig(weights=str(tmp_path)), stages=4)
    assert backbone(random_images(32, 32))[0].dtype is torch.float32


def test_tap_depths_are_spread_evenly() -> None:
    assert [evenly_spaced(n, 4) for n in (12, 24, 32, 8)] == [
        (2, 5, 8, 11),
        (5, 11, 17, 23),
        (7, 15, 23, 31),
        (1, 3, 5, 7),
    ]


def test_taps_have_the_size_of_the_paper() -> None:
    taps = [Tap(768, 96, 16) for _ in range(4)]
    assert sum(p.numel() for tap in taps for p in tap.parameters()) == 2_656_896
    assert taps[0](torch.zeros(1, 768, 20, 64)).shape == (1, 96, 80, 256)


def pixels_of(views: int, height: int, width: int, count: int) -> Pixels:
    """Drawn pixels, among them the corners of the first image; the second image has none."""
    corners = torch.tensor([[0, 0], [0, width - 1], [height - 1, 0], [height - 1, width - 1]])
    drawn = torch.stack([torch.randint(height, (count,)), torch.randint(width, (count,))], dim=1)
    view = torch.cat([torch.zeros(4, dtype=torch.int64), torch.randint(views - 1, (count,)).sort().values])
    return Pixels(view + (view > 0), torch.cat([corners, drawn]))


@pytest.mark.parametrize(("rows", "columns"), [(8, 24), (9, 31), (1, 1)])
def test_sample_equals_the_enlarged_map_indexed_with_its_gradient(rows: int, columns: int) -> None:
    height, width = 32, 96
    maps = torch.randn(3, 5, rows, columns, dtype=torch.float64, requires_grad=True)
    pixels = pixels_of(3, height, width, 300)
    enlarged = F.interpolate(maps, (height, width), mode="bilinear", align_corners=False)
    expected = enlarged[pixels.view, :, pixels.position[:, 0], pixels.position[:, 1]]
    (found,) = sample([maps], pixels, (height, width))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    upstream = torch.randn_like(found)
    gradients = [torch.autograd.grad(out, maps, upstream)[0] for out in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-6)


def test_sample_equals_grid_sample_at_full_size() -> None:
    """``grid_sample`` has no deterministic gradient on CUDA. Four maps of two resolutions."""
    height, width = 352, 1216
    maps = [torch.randn(3, 2, height // s, width // s, requires_grad=True) for s in (4, 4, 4, 8)]
    pixels = pixels_of(3, height, width, 2000)
    place = (2 * pixels.position + 1) / torch.tensor([height, width]) - 1
    for found, m in zip(sample(maps, pixels, (height, width)), maps, strict=True):
        grid = place.flip(1)[None, None].expand(3, -1, -1, -1)
        whole = F.grid_sample(m, grid, mode="bilinear", padding_mode="border", align_corners=False)
        expected = whole[pixels.view, :, 0, torch.arange(len(pixels))]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-4)  # its positions are rounded to 3e-5 cells
        upstream = torch.randn_like(found)
        gradients = [torch.autograd.grad(out, m, upstream)[0] for out in (found, expected)]
        torch.testing.assert_close(*gradients, rtol=1e-4, atol=2e-4)


def test_sample_of_16_bit_maps_is_that_of_their_float32() -> None:
    maps = torch.randn(3, 5, 8, 24).bfloat16().requires_grad_()
    pixels = pixels_of(3, 32, 96, 50)
    (found,), (expected,) = (sample([m], pixels, (32, 96)) for m in (maps, maps.float()))
    assert torch.equal(found, expected)
    found.sum().backward()
    assert maps.grad.dtype is torch.bfloat16


def test_sample_without_pixels_is_empty_with_zero_gradient() -> None:
    maps = torch.randn(3, 5, 8, 24, requires_grad=True)
    nothing = Pixels(torch.empty(0, dtype=torch.int64), torch.empty(0, 2, dtype=torch.int64))
    (found,) = sample([maps], nothing, (32, 96))
    assert found.shape == (0, 5)
    found.sum().backward()
    assert not maps.grad.any()


def test_teacher_with_recomputation_gives_the_same_gradients(narrow_folder: Path) -> None:
    images = random_images(64, 96)
    gradients = []
    for recompute in (False, True):
        backbone = load_backbone(TeacherConfig(weights=str(narrow_folder)), stages=4)
        if recompute:
            backbone.checkpoint_activations()
        sum(m.square().mean() for m in backbone(images)).backward()  # type: ignore[union-attr]
        gradients.append(backbone.block_list()[0].mlp.lin1.weight.grad)  # type: ignore[union-attr]
    assert gradients[0].abs().max() > 0
    assert torch.equal(*gradients)


def test_teacher_of_random_weights_changes_its_input() -> None:
    backbone = load_backbone(TeacherConfig(weights="random", model="sam-tiny"), stages=4)
    first, *_, last = backbone(random_images(160, 608))
    assert last.shape == (1, 96, 20, 76)
    assert (last - first).std() > 0.01


def test_load_backbone_without_weights_names_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"--teacher\.weights.*sam_vit_b_01ec64\.pth"):
        load_backbone(TeacherConfig(), stages=4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depths": (2, 5, 8, 12)}, r"blocks 0\.\.11.*found 2, 5, 8, 12"),
        ({"depths": (2, 5)}, "expected 4 of the blocks"),
    ],
)
def test_tap_depths_beyond_the_model_are_refused(narrow_folder: Path, settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_backbone(TeacherConfig(weights=str(narrow_folder), **settings), stages=4)


def test_load_backbone_of_an_impossible_crop_is_refused(narrow_folder: Path) -> None:
    backbone = load_backbone(TeacherConfig(weights=str(narrow_folder)), stages=4)
    with pytest.raises(ConfigError, match=r"multiples of 16 .*320 x 1024"):
        backbone.check_size(322, 1022)
    with pytest.raises(ConfigError, match="expected at most 1024 x 1024"):
        backbone.check_size(320, 1040)


def test_load_backbone_with_a_missing_layer_is_refused(narrow_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    (tmp_path / "config.json").write_text((narrow_folder / "config.json").read_text())
    tensors = load_file(narrow_folder / "model.safetensors")
    del tensors["vision_encoder.layers.3.attn.qkv.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"found 1 missing.*layers\.3\.attn\.qkv\.weight"):
        load_backbone(TeacherConfig(weights=str(tmp_path)), stages=4)


def test_load_backbone_of_truncated_weights_is_refused(narrow_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((narrow_folder / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes((narrow_folder / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: expected a safetensors file.*Copy it again"):
        load_backbone(TeacherConfig(weights=str(tmp_path)), stages=4)
    with pytest.raises(CheckpointError, match=r"--teacher\.weights: .*does not exist"):
        load_backbone(TeacherConfig(weights=str(tmp_path / "nowhere")), stages=4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depths": [1, 10**400]}, "expected numbers up to"),
        ({"stage_names": ["stem", "stage1", "stem", "stage1", "stage2"]}, "expected consistent stages"),
    ],
)
def test_load_backbone_of_an_impossible_config_is_refused(change: dict, message: str, tmp_path: Path) -> None:
    from transformers import ResNetConfig, ResNetModel

    ResNetModel(ResNetConfig(embedding_size=4, hidden_sizes=[4, 4], depths=[1, 1])).save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises((CheckpointError, ConfigError), match=message):
        load_backbone(TeacherConfig(weights=str(tmp_path)), stages=3)


def test_load_backbone_without_memory_does_not_blame_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import ResNetConfig, ResNetModel

    ResNetModel(ResNetConfig(embedding_size=4, hidden_sizes=[4, 4], depths=[1, 1])).save_pretrained(tmp_path)
    error = RuntimeError("DefaultCPUAllocator: can't allocate memory")
    monkeypatch.setattr("elite.teacher.pretrained._load_folder", Mock(side_effect=error))
    with pytest.raises(CheckpointError, match=rf"'{tmp_path}': expected weights that fit in memory"):
        load_backbone(TeacherConfig(weights=str(tmp_path)), stages=2)


def test_load_backbone_of_a_mistyped_path_is_not_requested_from_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def hub(name: str, **_: object) -> None:
        asked.append(name)
        raise OSError("no connection\nand much more")

    monkeypatch.setattr("elite.teacher.weights.AutoConfig.from_pretrained", hub)
    monkeypatch.chdir(tmp_path)
    Path("weights").mkdir()
    for path in ("sam.pth", "nowhere/model.safetensors", "weights/sam.pht", "~/sam", "a/b/c"):
        found = Path(path).expanduser()
        with pytest.raises(CheckpointError, match=rf"--teacher\.weights: .* found '{found}', which does not exist"):
            load_backbone(TeacherConfig(weights=path), stages=4)
    assert asked == []
    with pytest.raises(CheckpointError, match=r"found 'some/model', which cannot be read \(no connection\)"):
        load_backbone(TeacherConfig(weights="some/model"), stages=4)
    with pytest.raises(CheckpointError, match=r"expected a transformers folder .* found 'weights'"):
        load_backbone(TeacherConfig(weights="weights"), stages=4)
    assert asked == ["some/model", "weights"]

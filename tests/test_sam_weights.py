"""Meta's SAM files: complete conversion, or a refusal with its reason."""

import re
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

from elite.errors import CheckpointError
from elite.teacher.sam_weights import load_sam
from tests.support.meta_sam import meta_state, small_sam

State = dict[str, Tensor]


def full_config(width: int, blocks: int, heads: int, global_blocks: list[int]) -> SamConfig:
    vision = SamVisionConfig(
        hidden_size=width, num_hidden_layers=blocks, num_attention_heads=heads, global_attn_indexes=global_blocks
    )
    return SamConfig(
        vision_config=vision,
        prompt_encoder_config=SamPromptEncoderConfig(),
        mask_decoder_config=SamMaskDecoderConfig(layer_norm_eps=1e-5),
    )


def same_configs(a: SamConfig, b: SamConfig) -> bool:
    parts = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    return all(getattr(a, part).to_dict() == getattr(b, part).to_dict() for part in parts)


def same_weights(a: SamModel, b: SamModel) -> bool:
    ours, original = a.state_dict(), b.state_dict()
    return ours.keys() == original.keys() and all(torch.equal(ours[name], original[name]) for name in original)


def write(path: Path, state: object) -> Path:
    torch.save(state, path)
    return path


# ---- whole models ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nested", ["", "model"])
def test_load_sam_round_trip_restores_every_weight(tmp_path: Path, nested: str) -> None:
    model = small_sam()
    state = meta_state(model) | {"pixel_mean": torch.zeros(3, 1, 1), "pixel_std": torch.ones(3, 1, 1)}
    loaded = load_sam(write(tmp_path / "sam.pth", {nested: state, "epoch": 3} if nested else state))
    assert same_configs(loaded.config, model.config)
    assert same_weights(loaded, model)
    assert loaded.shared_image_embedding.positional_embedding is (
        loaded.prompt_encoder.shared_embedding.positional_embedding
    )
    assert not loaded.training
    inputs = {"pixel_values": torch.rand(1, 3, 72, 72), "input_points": torch.rand(1, 2, 1, 2) * 72}
    with torch.no_grad():
        assert torch.equal(loaded(**inputs).pred_masks, model(**inputs).pred_masks)


@pytest.mark.parametrize(
    ("where", "prefix"),
    [("model", ""), ("state_dict", "module."), ("model_state_dict", "sam_model."), ("model", "module.sam.")],
)
def test_load_sam_of_a_training_script_reads_the_weights_and_names_the_rest(
    tmp_path: Path, where: str, prefix: str, capsys: pytest.CaptureFixture
) -> None:
    """With the optimiser's state, a numpy number and argparse's settings in the same file."""
    model = small_sam()
    state = {f"{prefix}{name}": value for name, value in meta_state(model).items()}
    content = {where: state, "optimizer": {"lr": np.float64(0.1)}, "args": Namespace(lr=0.1), "epoch": 3}
    assert same_weights(load_sam(write(tmp_path / "sam.pth", content)), model)
    printed = capsys.readouterr().out
    assert f"sam.pth: weights found in '{where}'\n" in printed
    assert re.search(r"3 classes and functions of other code were not opened: .*numpy.*argparse\.Namespace\n", printed)
    for part in filter(None, prefix.split(".")):
        assert f"{part}.' removed from" in printed or f"'{part}.'" in printed


def test_load_sam_of_two_models_is_refused_until_one_is_saved_alone(tmp_path: Path) -> None:
    state = meta_state(small_sam())
    path = write(tmp_path / "sam.pth", {"model": state, "ema": {f"module.{n}": v for n, v in state.items()}})
    with pytest.raises(CheckpointError, match=r"in 'model' and names .* in 'ema'\. Save only the wanted ones"):
        load_sam(path)
    load_sam(write(path, state))


def test_load_sam_of_half_precision_is_full_precision(tmp_path: Path) -> None:
    state = {name: value.half() for name, value in meta_state(small_sam()).items()}
    loaded = load_sam(write(tmp_path / "sam.pth", state)).state_dict()
    assert {value.dtype for value in loaded.values()} == {torch.float32}
    state["mask_decoder.iou_token.weight"][0] = torch.nan
    with pytest.raises(CheckpointError, match=r"NaN or infinity in 'mask_decoder\.iou_token\.weight'"):
        load_sam(write(tmp_path / "sam.pth", state))


@pytest.mark.parametrize(
    ("width", "blocks", "heads", "global_blocks"),
    [(768, 12, 12, [2, 5, 8, 11]), (1024, 24, 16, [5, 11, 17, 23]), (1280, 32, 16, [7, 15, 23, 31])],
    ids=["vit_b", "vit_l", "vit_h"],
)
def test_load_sam_of_published_sizes_infers_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, blocks: int, heads: int, global_blocks: list[int]
) -> None:
    """Structure only: each weight is one number, stored once and seen at full shape."""
    monkeypatch.setattr("elite.teacher.sam_weights.check_numbers", lambda state, source: None)
    config = full_config(width, blocks, heads, global_blocks)
    with torch.device("meta"):
        state = meta_state(SamModel(config))
    assert len(state) == 314 + 14 * (blocks - 12)  # of sam_vit_b: 177 + 17 + 120 keys
    path = write(tmp_path / "sam.pth", {name: torch.zeros(()).expand(value.shape) for name, value in state.items()})
    assert same_configs(load_sam(path).config, config)


@pytest.mark.slow
def test_load_sam_of_vit_b_restores_the_model(tmp_path: Path) -> None:
    config = full_config(768, 12, 12, [2, 5, 8, 11])
    model = SamModel(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_()
    loaded = load_sam(write(tmp_path / "sam_vit_b.pth", meta_state(model)))
    vision = loaded.vision_encoder.config
    assert (vision.hidden_size, vision.num_hidden_layers, vision.num_attention_heads) == (768, 12, 12)
    assert (vision.image_size, vision.patch_size, vision.window_size) == (1024, 16, 14)
    assert vision.global_attn_indexes == [2, 5, 8, 11]
    assert same_weights(loaded, model)


def test_load_sam_of_the_published_file_equals_its_fixture(real_data: Path) -> None:
    """Compare with results of Meta's code for the same file: blocks, embedding, masks from point and mask prompts."""
    model = load_sam(real_data / "published-sam" / "sam_narrow.pth")
    expected = np.load(real_data / "published-sam" / "expected.npz")
    given = {name: torch.from_numpy(expected[name]).float() for name in ("image", "points", "labels", "mask_prompts")}
    with torch.no_grad():
        vision = model.vision_encoder(given["image"], output_hidden_states=True)
        embedding = vision.last_hidden_state
        sparse, dense = model.prompt_encoder(
            given["points"][:, None], given["labels"][:, None], None, given["mask_prompts"]
        )
        positions = model.get_image_wide_positional_embeddings()
        masks, iou = model.mask_decoder(
            embedding.expand(4, -1, -1, -1), positions.expand(4, -1, -1, -1), sparse, dense, multimask_output=True
        )
    found = {f"block{i}": vision.hidden_states[i + 1][0, ::4, ::4] for i in (2, 5, 8, 11)}
    found |= {"embedding": embedding, "low_res_masks": masks[:, 0], "iou": iou[:, 0]}
    worst = {name: float(np.abs(value.numpy() - expected[name]).max()) for name, value in found.items()}
    assert all(value.shape == expected[name].shape for name, value in found.items())
    assert max(worst.values()) < 1e-4, worst


# ---- refusals -------------------------------------------------------------------------------------------------


Fault = tuple[Callable[[State], None], str]  # what is done to a good state, and what is printed about it


def lost(name: str) -> Fault:
    return lambda state: state.__delitem__(name), rf"found no '{re.escape(name)}'.*\. Give sam_vit_b"


def replaced(name: str, shape: tuple[int, ...], message: str) -> Fault:
    return lambda state: state.update({name: torch.zeros(shape)}), message


def misshapen(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> Fault:
    return replaced(name, found, re.escape(f"'{name}' of shape {found} where {expected} is expected. Give"))


FAULTS = {
    "missing": lost("mask_decoder.iou_token.weight"),
    "missing, of use to the configuration": lost("image_encoder.neck.0.weight"),
    "a block missing": lost("image_encoder.blocks.2.attn.rel_pos_h"),
    "too few kinds of points": lost("prompt_encoder.point_embeddings.3.weight"),
    "too many frequencies": misshapen(
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", (2, 17), expected=(2, 16)
    ),
    "unknown": replaced("mask_decoder.hf_token.weight", (1, 32), r"an unknown 'mask_decoder\.hf_token\.weight'\. Give"),
    "other shape": misshapen("image_encoder.blocks.3.mlp.lin2.bias", (47,), expected=(48,)),
    "other window": misshapen("image_encoder.blocks.2.attn.rel_pos_w", (11, 16), expected=(9, 16)),
    "other axes": replaced("image_encoder.neck.0.weight", (32, 48), r"expected 4 axes.*0\.weight' of shape \(32, 48\)"),
    "no heads": replaced(
        "mask_decoder.transformer.final_attn_token_to_image.q_proj.weight",
        (3, 32),
        "expected the shapes of a SAM, found others",
    ),
    "several": (
        lambda state: state.update(a=torch.zeros(1), b=torch.zeros(1)),
        r"an unknown 'a' and 1 more differences\. Give",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_load_sam_of_a_faulty_state_is_refused(tmp_path: Path, fault: str) -> None:
    spoil, message = FAULTS[fault]
    state = meta_state(small_sam())
    spoil(state)
    with pytest.raises(CheckpointError, match=message):
        load_sam(write(tmp_path / "sam.pth", state))


@pytest.mark.slow
def test_load_sam_without_any_one_key_is_refused(tmp_path: Path) -> None:
    state = meta_state(small_sam())
    for name, value in state.items():
        rest = {other: state[other] for other in state if other != name}
        with pytest.raises(CheckpointError, match=re.escape(name)):
            load_sam(write(tmp_path / "sam.pth", rest))
        with pytest.raises(CheckpointError):
            load_sam(write(tmp_path / "sam.pth", rest | {name: torch.cat([value, value])}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"model": {"image_encoder.trunk.pos_embed": torch.zeros(1)}},
            r"expected .*pos_embed' of SAM, found .*trunk",
        ),
        (torch.zeros(3), "expected a dictionary of weights, found a tensor"),
        ({"image_encoder.pos_embed": 3}, r"found a value of type int\. Give sam_vit_b"),
        ({"image_encoder.pos_embed": Path("x")}, r"found an object of pathlib\.PosixPath\. Give sam_vit_b"),
    ],
    ids=["SAM 2", "a tensor", "numbers", "objects"],
)
def test_load_sam_of_other_content_is_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_sam(write(tmp_path / "other.pth", content))


def test_load_sam_of_a_damaged_file_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.pth", meta_state(small_sam())).read_bytes()
    for name, data in {
        "short.pth": whole[: len(whole) // 2],
        "text.pth": b"not a torch file",
        "empty.pth": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CheckpointError, match=rf"{name}: expected a file of torch\.save, .*Copy it again"):
            load_sam(tmp_path / name)
    with pytest.raises(CheckpointError, match=r"nowhere\.pth.*No such file"):
        load_sam(tmp_path / "nowhere.pth")

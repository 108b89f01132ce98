"""Adapters: AdaLoRA's budget and schedule, resume, files, merging."""

import copy
from collections.abc import Callable
from dataclasses import replace
from math import floor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoBackbone, ResNetConfig, SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionEncoder

from elite.config import AdapterConfig
from elite.errors import CheckpointError, ConfigError
from elite.teacher.adalora import schedule
from elite.teacher.adapters import Adapter, adapt, count_parameters
from elite.teacher.qkv import fuse_qkv, split_qkv
from tests.support.foundation import narrow_sam

LOW_RANK = ("adalora", "lora", "dora")


# ---- a narrow SAM ---------------------------------------------------------------------------------------------


def narrow_encoder(blocks: int = 12) -> SamVisionEncoder:
    sizes = {"mlp_dim": 192, "image_size": 512, "initializer_range": 0.02}
    return narrow_sam(num_hidden_layers=blocks, biases=0.1, **sizes).vision_encoder


def run_blocks(encoder: nn.Module, pixels: Tensor) -> Tensor:
    """As the teacher does: the blocks are called by their owner, not through peft."""
    sam: Any = encoder
    x = sam.patch_embed.projection(pixels).permute(0, 2, 3, 1)
    x = x + sam.pos_embed[:, : x.shape[1], : x.shape[2]]
    for layer in sam.layers:
        x = layer(x)
    return x


def scatter(adapter: Adapter, scale: float = 0.3) -> None:
    """Trained-looking values for whatever is trained."""
    parameters = dict(adapter.model.named_parameters())
    with torch.no_grad():
        for name in adapter.trained:
            parameters[name].add_(scale * torch.randn_like(parameters[name]))


def adapted_sam(method: str, blocks: int = 3, **settings: Any) -> Adapter:
    torch.manual_seed(7)
    encoder = narrow_encoder(blocks)
    split_qkv(encoder)
    config = AdapterConfig(method=method, rank=4, target_rank=2, **settings)  # type: ignore[arg-type]
    return adapt(encoder, "layers", config, total_steps=60)


PIXELS = torch.randn(2, 3, 80, 144, generator=torch.Generator().manual_seed(1))


def test_split_qkv_then_fuse_qkv_restores_outputs_and_names() -> None:
    encoder = narrow_encoder()
    before, names = run_blocks(encoder, PIXELS), encoder.state_dict()
    split_qkv(encoder)
    torch.testing.assert_close(run_blocks(encoder, PIXELS), before, rtol=0, atol=1e-6)
    assert encoder.state_dict()["layers.3.attn.qkv.v.bias"].shape == (48,)
    fuse_qkv(encoder)
    assert encoder.state_dict().keys() == names.keys()
    assert all(torch.equal(value, names[name]) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize("method", LOW_RANK)
def test_adapt_low_rank_starts_as_the_base_trains_and_merges(method: str) -> None:
    """The adapted model is the base at first; only the adapter gets gradients; merged, it computes the same."""
    torch.manual_seed(7)
    base = run_blocks(narrow_encoder(3), PIXELS)
    adapter = adapted_sam(method, alpha=1.5)
    torch.testing.assert_close(run_blocks(adapter.model, PIXELS), base, rtol=0, atol=1e-6)

    scatter(adapter)
    adapted = run_blocks(adapter.model, PIXELS)
    adapted.square().sum().backward()
    with_gradient = {name for name, p in adapter.model.named_parameters() if p.grad is not None}
    assert with_gradient == set(adapter.trained)
    assert all("lora_" in name for name in with_gradient)

    merged = copy.deepcopy(adapter).merge()
    assert (adapted - base).abs().max() > 0.05
    torch.testing.assert_close(run_blocks(merged, PIXELS), adapted, rtol=0, atol=1e-5)
    assert merged.state_dict().keys() == narrow_encoder(3).state_dict().keys()
    torch.testing.assert_close(run_blocks(adapter.model, PIXELS), adapted)  # the copy was merged, not this one


def test_count_parameters_of_sam_vit_b_equals_the_sum_by_hand() -> None:
    """12 blocks, rank 12: q, k, v, proj 12 (768 + 768 + 1) each, lin1 and lin2 12 (768 + 3072 + 1) each."""
    with torch.device("meta"):
        encoder = SamVisionEncoder(SamVisionConfig())
    split_qkv(encoder)
    adapter = adapt(encoder, "layers", AdapterConfig(), total_steps=6)
    assert count_parameters(encoder)[0] == 12 * (4 * 12 * 1537 + 2 * 12 * 3841) == 1_991_520
    assert len(adapter.trained) == 72 * 3


def test_adapt_full_frozen_or_first_block_trains_those_parameters() -> None:
    def trained(**settings: Any) -> set[str]:
        return set(adapt(narrow_encoder(3), "layers", AdapterConfig(**settings)).trained)

    assert trained(method="frozen") == set()
    inside = {name for name, _ in narrow_encoder(3).named_parameters() if name.startswith("layers.")}
    before = {"pos_embed", "patch_embed.projection.weight", "patch_embed.projection.bias"}
    assert trained(method="full") == inside | before
    assert trained(method="full", first_block=2) == {name for name in inside if name.startswith("layers.2.")}
    fused = {name.split(".lora_")[0] for name in trained(method="lora", first_block=1)}  # not split: every Linear
    assert fused == {f"layers.{i}.{n}" for i in (1, 2) for n in ("attn.qkv", "attn.proj", "mlp.lin1", "mlp.lin2")}


def test_adapt_targets_match_exact_names_only() -> None:
    """A layer elsewhere whose name ends like a target's is unchanged."""
    model = nn.ModuleDict({"layers": stack(2), "head": nn.ModuleDict({"layers": stack(2)})})
    adapter = adapt(model, "layers", AdapterConfig(method="lora", targets=("hidden",)))
    assert {name.split(".lora_")[0] for name in adapter.trained} == {"layers.0.hidden", "layers.1.hidden"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"targets": ("q", "typo")}, r"\(lin1, lin2, proj, qkv\), found q, typo"),
        ({"first_block": 3}, r"expected a block 0\.\.2"),
        ({}, "at least 6 optimiser steps, found 5"),
    ],
)
def test_adapt_impossible_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        adapt(narrow_encoder(3), "layers", AdapterConfig(**settings), total_steps=5)


# ---- AdaLoRA's schedule ---------------------------------------------------------------------------------------


def test_schedule_of_any_length_has_integer_steps() -> None:
    for total in range(6, 10_001):
        expected = {"total_step": total, "tinit": total // 6, "tfinal": total // 2, "deltaT": max(1, total // 300)}
        assert schedule(AdapterConfig(), total) == expected
    assert schedule(AdapterConfig(initial=0.29), 100)["tinit"] == 29
    with pytest.raises(ConfigError, match="found None"):
        schedule(AdapterConfig(), None)
    with pytest.raises(ConfigError, match="at least 100 optimiser steps, found 99"):
        schedule(AdapterConfig(initial=0.01), 99)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(10, 12), nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(torch.tanh(self.hidden(x)))


def stack(blocks: int) -> nn.ModuleList:
    return nn.ModuleList(Block() for _ in range(blocks))


class Run:
    """SGD with momentum on two adapted layers of rank 8 (budget 16, target 8), deterministic per step."""

    def __init__(self, total: int, **settings: Any) -> None:
        torch.manual_seed(3)
        self.model = nn.ModuleDict({"layers": stack(1)})
        config = AdapterConfig(rank=8, target_rank=4, **settings)
        self.adapter = adapt(self.model, "layers", config, total_steps=total)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=0.05, momentum=0.9, nesterov=True)
        self.goal = torch.randn(10, 10)

    def train(self, first: int, last: int, allocate: Callable[[int], None] | None = None) -> list[int]:
        """Steps first..last; the non-zero singular values after each, which the next forward pass works with."""
        budgets = []
        for step in range(first, last + 1):
            x = y = torch.randn(16, 10, generator=torch.Generator().manual_seed(step))
            for block in self.model["layers"]:  # type: ignore[union-attr]
                y = block(y)
            self.optimizer.zero_grad()
            loss = (y - x @ self.goal).square().mean() + 0.1 * self.adapter.orthogonality()
            loss.backward()
            self.optimizer.step()
            (allocate or self.adapter.allocate)(step)
            budgets.append(self.adapter.budget_used())
        return budgets


def cubic(step: int, total: int) -> int:
    """AdaLoRA, equation 12, for budgets 16 -> 8."""
    tinit, end = total // 6, total - total // 2
    return floor(8 + 8 * (1 - (step - tinit) / (end - tinit)) ** 3)


@pytest.mark.parametrize("hold", [False, True])
def test_allocate_each_interval_follows_the_cubic_budget(hold: bool) -> None:
    """Right after every allocation, and in every forward pass of the final phase, although momentum revives ranks."""
    total, interval = 600, 2
    budgets = Run(total, hold_budget=hold).train(1, total)
    assert set(budgets[: total // 6]) == {16}
    over, last = 0, 16
    for step in range(total // 6 + 1, total // 2 + 1):
        after = budgets[step - 1]
        if step % interval == 0:
            last = cubic(step, total)
            assert after == last, step
        over += after > last
    assert (over == 0) == hold
    assert last == 8
    assert set(budgets[total // 2 - 1 :]) == {8}  # after step T - tfinal, so in all forward passes from the next on


def test_allocate_last_step_between_intervals_sets_final_ranks() -> None:
    """T - tfinal = 101 is not a multiple of the interval, 20."""
    budgets = Run(201, interval=0.1).train(1, 103)
    assert budgets[100:] == [8, 8, 8]


def test_allocate_without_ties_prunes_as_peft() -> None:
    """Twin: peft's own allocator, without ties, prunes the same singular values to the same numbers."""
    from peft.tuners.adalora import RankAllocator

    ours, theirs = Run(120, interval=1 / 30), Run(120, interval=1 / 30)
    tuner: Any = theirs.adapter.tuner
    tuner.rankallocator = RankAllocator(theirs.model, tuner.peft_config["default"], "default")
    for step in range(1, 121):
        assert ours.train(step, step) == theirs.train(step, step, allocate=tuner.update_and_allocate)
        assert ours.adapter.ranks() == theirs.adapter.ranks()
    for a, b in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stop", [50, 87])
def test_allocator_resumed_equals_uninterrupted(stop: int, tmp_path: Path) -> None:
    """Stopped between two allocations (every 4 steps) or in the final phase (from 61 on), bit for bit."""
    whole = Run(120, interval=1 / 30, hold_budget=True)
    whole.train(1, stop)
    state = (whole.model.state_dict(), whole.optimizer.state_dict(), whole.adapter.allocator_state())
    torch.save(state, tmp_path / "state.pt")

    resumed = Run(120, interval=1 / 30, hold_budget=True)
    weights, optimizer, allocator = torch.load(tmp_path / "state.pt", weights_only=True)
    resumed.model.load_state_dict(weights)
    resumed.optimizer.load_state_dict(optimizer)
    resumed.adapter.load_allocator_state(allocator)
    for last in (stop + 5, 120):
        assert resumed.train(stop + 1, last) == whole.train(stop + 1, last)
        found, expected = ((run.model.state_dict(), run.adapter.allocator_state()) for run in (resumed, whole))
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        stop = last


def test_allocator_state_of_another_run_is_refused() -> None:
    run = Run(120)
    run.train(1, 2)
    state = run.adapter.allocator_state()
    with pytest.raises(CheckpointError, match="expected 240 optimiser steps, found 120"):
        Run(240).adapter.load_allocator_state(state)
    state["importance"]["layers.0.hidden.lora_A.default"] = torch.zeros(3, 10)
    with pytest.raises(CheckpointError, match="lora_A"):
        run.adapter.load_allocator_state(state)
    with pytest.raises(CheckpointError, match="'lora'"):
        adapt(nn.ModuleDict({"layers": stack(1)}), "layers", AdapterConfig(method="lora")).load_allocator_state(state)


def test_allocate_ties_share_the_budget() -> None:
    """With all importances 0 the budget holds to the last one, evenly over the layers (peft would prune everything)."""
    run = Run(120)
    for name, p in run.model.named_parameters():
        if "lora_E" in name:
            nn.init.ones_(p)
    for step in range(1, 61):
        run.adapter.allocate(step)  # no gradient ever: importance stays 0
    assert list(run.adapter.ranks().values()) == [4, 4]


def test_allocate_step_without_gradient_keeps_importance() -> None:
    run = Run(120)
    run.train(1, 3)
    before = copy.deepcopy(run.adapter.allocator_state()["importance"])
    run.optimizer.zero_grad()
    run.adapter.allocate(4)
    after = run.adapter.allocator_state()["importance"]
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) and before[name].any() for name in before)


def test_orthogonality_equals_the_formula() -> None:
    run = Run(120)
    scatter(run.adapter)
    pieces = []
    for name, p in run.model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            square = p @ p.T if "lora_A" in name else p.T @ p
            pieces.append((square - torch.eye(8)).square().sum().sqrt())
    torch.testing.assert_close(run.adapter.orthogonality(), sum(pieces) / 4)
    run.adapter.orthogonality().backward()
    assert all(p.grad.any() for n, p in run.model.named_parameters() if "lora_A" in n and p.grad is not None)
    assert adapted_sam("lora").orthogonality() == 0


# ---- adapter files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*LOW_RANK, "full"])
def test_adapter_file_round_trip_restores_the_adapter(method: str, tmp_path: Path) -> None:
    adapter, path = adapted_sam(method), tmp_path / "adapter.safetensors"
    scatter(adapter)
    adapter.save(path)
    again = adapted_sam(method)
    assert not torch.equal(run_blocks(again.model, PIXELS), run_blocks(adapter.model, PIXELS))
    again.load(path)
    assert torch.equal(run_blocks(again.model, PIXELS), run_blocks(adapter.model, PIXELS))
    again.save(tmp_path / "again.safetensors")
    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_adapter_file_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    adapted_sam("lora", targets=("q", "v")).save(path)
    fits = adapted_sam("lora", targets=("q", "v"))
    fits.load(path)
    with pytest.raises(CheckpointError, match="with method adalora, found method lora"):
        adapted_sam("adalora", targets=("q", "v")).load(path)
    with pytest.raises(CheckpointError, match=r"with alpha 2.0, found alpha 1.0"):
        adapted_sam("lora", targets=("q", "v"), alpha=2.0).load(path)
    with pytest.raises(CheckpointError, match="found 6 that are missing"):
        adapted_sam("lora", targets=("q", "v", "k")).load(path)
    fits.model.get_parameter("layers.1.layer_norm1.weight").data[0] += 1e-6
    with pytest.raises(CheckpointError, match="expected an adapter with base"):
        fits.load(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="expected a readable adapter file"):
        fits.load(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="found another safetensors file"):
        fits.load(path)
    save_file({"a": torch.zeros(1)}, path, {"elite-adapter-12": "{}"})
    with pytest.raises(CheckpointError, match=r"version 1 of the format elite-adapter, .*found version 12\. Update"):
        fits.load(path)


def test_adapter_config_defaults_are_those_of_the_paper() -> None:
    config = AdapterConfig()
    assert (config.rank, config.target_rank, config.alpha) == (12, 8, 1.0)
    tuner: Any = adapt(narrow_encoder(1), "layers", replace(config, beta1=0.7), total_steps=600).tuner
    settings = tuner.peft_config["default"]
    assert (settings.init_r, settings.target_r, settings.lora_alpha) == (12, 8, 1.0)
    assert (settings.beta1, settings.beta2, tuner.rankallocator.target_bgt) == (0.7, 0.85, 4 * 8)


@pytest.mark.parametrize("method", ["adalora", "lora"])
def test_adapt_convolutional_network_adapts_it(method: str) -> None:
    settings = {"hidden_sizes": [8, 12, 16, 16], "depths": [1, 1, 1, 1], "embedding_size": 8, "layer_type": "basic"}
    model = AutoBackbone.from_config(ResNetConfig(**settings, out_features=["stage4"])).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = model(images).feature_maps[0]
    adapter = adapt(model, "encoder.stages", AdapterConfig(method=method, rank=4, target_rank=2), total_steps=12)
    assert torch.equal(model(images).feature_maps[0], before)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for step in range(1, 13):
        optimizer.zero_grad()
        (model(images).feature_maps[0].square().mean() + adapter.orthogonality()).backward()
        optimizer.step()
        adapter.allocate(step)
    if method == "adalora":
        assert adapter.budget_used() == 2 * len(adapter.ranks())
    with torch.no_grad():
        adapted = model(images).feature_maps[0]
        assert (adapted - before).abs().max() > 1e-4
        assert (adapter.merge()(images).feature_maps[0] - adapted).abs().max() < 1e-5  # type: ignore[operator]

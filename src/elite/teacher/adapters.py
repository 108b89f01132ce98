"""Parameter-efficient fine-tuning of a foundation model with peft's layers (METHOD section 3).

    split_qkv(encoder)                                              # SAM: ranks for q, k and v of their own
    adapter = adapt(encoder, "layers", config, total_steps=steps)   # changes encoder in place
    ... loss + config.orthogonality * adapter.orthogonality() ... optimizer.step()
    adapter.allocate(step)                                          # step 1, 2, ..., gradients still there

The model stays its owner's: peft replaces Linears inside it, and the ``Adapter`` beside it is not an nn.Module, so that
no parameter is registered twice. AdaLoRA: Zhang et al., ICLR 2023, Algorithm 1.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from peft import AdaLoraConfig, AdaLoraModel, LoraConfig, LoraModel
from peft.tuners.adalora import AdaLoraLayer
from torch import Tensor, nn

from elite.config import AdapterConfig
from elite.errors import CheckpointError, ConfigError
from elite.files import write_bytes
from elite.teacher.adalora import Allocator, distance_from_orthonormal, schedule
from elite.teacher.qkv import SplitQKV, fuse_qkv
from elite.teacher.tensor_file import pack, unpack
from elite.version import __version__
from elite.weights.torch_file import check_numbers

FORMAT = "elite-adapter-1"
SAM_TARGETS = ("q", "k", "v", "proj", "lin1", "lin2")
_NAME = "default"  # what peft calls an adapter that is the only one


@dataclass(eq=False)
class Adapter:
    """What is trained of an adapted model.

    Attributes:
        model: the foundation model, adapted in place.
        config: how.
        trained: names of the parameters of ``model`` that are trained.
        tuner: peft's handle on its layers in ``model``; None if the method needs none.
    """

    model: nn.Module
    config: AdapterConfig
    trained: tuple[str, ...]
    tuner: LoraModel | None = None

    def allocate(self, step: int) -> None:
        """AdaLoRA: give ranks by importance. Other methods: nothing.

        Call it exactly once after optimiser step number ``step`` = 1, 2, ..., T, with that step's gradients still
        there, and not at all for a step that is skipped. The budget then holds right after every allocation, and in
        every forward pass of the last ``tfinal`` steps, since the final ranks are set after step T - tfinal and again
        after each later one (momentum revives what was zeroed). Parameters without gradient keep their importance.
        """
        if not isinstance(self.tuner, AdaLoraModel):
            return
        self.tuner.update_and_allocate(step)
        settings: Any = self.tuner.peft_config[_NAME]
        if self.config.hold_budget and settings.rank_pattern:
            self.tuner.rankallocator.mask_using_rank_pattern(self.model, settings.rank_pattern)

    def orthogonality(self) -> Float[Tensor, ""]:
        """AdaLoRA: mean over all A and B of the Frobenius norms of A A^T - I and B^T B - I. Otherwise 0."""
        by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for layer in self._layers().values():
            for rows in (layer.lora_A[_NAME], layer.lora_B[_NAME].T):
                by_shape[rows.shape].append(rows)
        device = next(self.model.parameters()).device
        if not by_shape:
            return torch.zeros((), device=device)
        with torch.autocast(device.type, enabled=False):
            return torch.cat([distance_from_orthonormal(torch.stack(rows)) for rows in by_shape.values()]).mean()

    def ranks(self) -> dict[str, int]:
        """AdaLoRA: non-zero singular values of each adapted layer. Otherwise empty."""
        layers = self._layers()
        counts = [layer.lora_E[_NAME].count_nonzero() for layer in layers.values()]
        return dict(zip(layers, torch.stack(counts).tolist(), strict=True)) if counts else {}

    def budget_used(self) -> int:
        """AdaLoRA: non-zero singular values of the whole model. Otherwise 0."""
        return sum(self.ranks().values())

    def allocator_state(self) -> dict[str, Any]:
        """What ``allocate`` remembers beyond the model's state_dict: plain values and tensors, {} if nothing."""
        if not isinstance(self.tuner, AdaLoraModel):
            return {}
        settings: Any = self.tuner.peft_config[_NAME]
        return {
            "total_steps": settings.total_step,
            "importance": dict(self.tuner.rankallocator.exp_avg_ipt),
            "uncertainty": dict(self.tuner.rankallocator.exp_avg_unc),
            "masks": dict(settings.rank_pattern or {}),
        }

    def load_allocator_state(self, state: dict[str, Any]) -> None:
        """Go on where ``allocator_state`` was taken.

        Raises:
            CheckpointError: it was taken from another adapter, or from a run of another length.
        """
        expected = self.allocator_state()
        if state.keys() != expected.keys():
            raise CheckpointError(
                f"the checkpoint's allocator holds {sorted(state)}, a run with the adapter method "
                f"'{self.config.method}' {sorted(expected)}; resume with the settings of the checkpoint."
            )
        if not isinstance(self.tuner, AdaLoraModel):
            return
        if state["total_steps"] != expected["total_steps"]:
            raise CheckpointError(
                f"the checkpoint's AdaLoRA schedule is that of {state['total_steps']} optimiser steps, this run has "
                f"{expected['total_steps']}; resume with the length of the checkpoint's run."
            )
        self._check_allocator(state)
        settings: Any = self.tuner.peft_config[_NAME]
        settings.rank_pattern = {n: value.clone() for n, value in state["masks"].items()} or None
        allocator = self.tuner.rankallocator
        allocator.exp_avg_ipt = {n: value.clone() for n, value in state["importance"].items()}
        allocator.exp_avg_unc = {n: value.clone() for n, value in state["uncertainty"].items()}

    def _check_allocator(self, state: dict[str, Any]) -> None:
        shapes = {name: p.shape for name, p in self.model.named_parameters()}
        for part in ("importance", "uncertainty", "masks"):
            for name, value in state[part].items():
                if shapes.get(name) != value.shape:
                    raise CheckpointError(
                        f"the checkpoint's allocator has '{name}' of shape {tuple(value.shape)}, which this adapter "
                        "lacks; resume with the adapter settings of the checkpoint."
                    )

    def save(self, path: Path) -> None:
        """Write the trained parameters alone, and what they belong to, to a safetensors file, atomically."""
        parameters = dict(self.model.named_parameters())
        tensors = {name: parameters[name] for name in self.trained}
        write_bytes(path, pack(tensors, FORMAT, {**self._identity(), "version": __version__}))

    def load(self, path: Path) -> None:
        """Take the parameters that ``save`` wrote.

        Raises:
            CheckpointError: unreadable, of another method or foundation model, or its tensors do not fit.
        """
        parameters = {n: p for n, p in self.model.named_parameters() if n in self.trained}
        with unpack(path, FORMAT, expected="readable adapter file", remedy="Copy it again") as (record, file):
            self._check_record(record, path)
            found = file.shapes
            faults = [n for n, p in parameters.items() if n not in found or found[n].shape != p.shape]
            faults += [n for n in found if n not in parameters]
            if faults:
                raise CheckpointError(
                    f"{path}: {len(faults)} tensors are missing, unknown or of another shape, the first of them "
                    f"'{faults[0]}'. Give the adapter settings it was trained with."
                )
            tensors = file.read()
        check_numbers(tensors, path)
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(tensors[name])

    def _check_record(self, record: dict[str, Any], path: Path) -> None:
        if not record:
            raise CheckpointError(
                f"{path}: expected '{FORMAT}' in the metadata of an adapter, found no adapter but another safetensors "
                "file. Give the file that Adapter.save wrote."
            )
        for key, value in self._identity().items():
            if record.get(key) != value:
                raise CheckpointError(
                    f"{path}: the adapter's {key} is {record.get(key)}, this model's {value}. "
                    "Give the foundation model and the adapter settings it was trained with."
                )

    def merge(self) -> nn.Module:
        """The plain model with the updates added to its weights and q, k, v fused again.

        Done in place, which ends this adapter; merge a copy.deepcopy of it to go on training.
        """
        if self.tuner is not None:
            self.tuner.merge_and_unload()
        fuse_qkv(self.model)
        return self.model

    def _layers(self) -> dict[str, AdaLoraLayer]:
        return {name: m for name, m in self.model.named_modules() if isinstance(m, AdaLoraLayer)}

    def _identity(self) -> dict[str, Any]:
        low_rank = self.tuner is not None
        return {
            "method": self.config.method,
            "rank": self.config.rank if low_rank else None,
            "alpha": self.config.alpha if low_rank else None,
            "base": self.base_hash(),
        }

    def base_hash(self) -> str:
        """Of names, shapes and bytes of everything that is not trained."""
        digest = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            if name in self.trained or ".ranknum." in name:  # ranknum is peft's constant, no part of the base
                continue
            data = value.detach().cpu().contiguous()
            digest.update(f"{name.replace('.base_layer.', '.')} {tuple(data.shape)} {data.dtype} ".encode())
            digest.update(data.reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()[:16]


def adapt(
    model: nn.Module,
    blocks: str,
    config: AdapterConfig,
    *,
    total_steps: int | None = None,
    reached: Collection[str] | None = None,
) -> Adapter:
    """Freeze ``model`` but for what ``config`` trains of the blocks from ``config.first_block`` on.

    - adalora, lora, dora: low-rank updates, zero at the start, of the Linears that ``config.targets`` names. If it
      names none: SAM's (q, k, v, proj, lin1, lin2) after ``split_qkv``, else all Linears of the blocks. In a network
      of convolutions alone these take the Linears' place.
    - full: all weights of these blocks; if first_block is 0, also the parameters registered before the blocks (patch
      and position embeddings). What comes behind the blocks (SAM's neck, a last norm) stays frozen.
    - frozen: nothing.

    ``blocks`` is the dotted name of the model's ModuleList of blocks. ``total_steps``, the optimiser steps of the
    whole run, is needed for adalora alone. ``reached`` names the parameters that some tap depends on (all by default,
    see ``Backbone.reached``): nothing else is trained, since no gradient ever comes there, which processes that train
    together would wait for.

    Raises:
        ConfigError: an unknown block or layer, or too few steps for AdaLoRA's phases.
    """
    if reached is None:
        reached = {name for name, _ in model.named_parameters()}
    count = 1 + max(_block_number(name, blocks) for name in reached if name.startswith(f"{blocks}."))
    if config.first_block >= count:
        raise ConfigError(
            f"teacher.adapter.first_block is {config.first_block}, but the model has {count} blocks up to its last tap."
        )
    model.requires_grad_(False)
    tuner = None
    if config.method == "full":
        _unfreeze(model, blocks, config.first_block, reached)
    elif config.method != "frozen":
        tuner = _low_rank(model, _target_names(model, blocks, config, reached), config, total_steps)
    trained = tuple(name for name, p in model.named_parameters() if p.requires_grad)
    return Adapter(model, config, trained, tuner)


def count_parameters(module: nn.Module) -> tuple[int, int]:
    """Trainable and frozen ones."""
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return trainable, sum(p.numel() for p in module.parameters()) - trainable


def _unfreeze(model: nn.Module, blocks: str, first_block: int, reached: Collection[str]) -> None:
    behind = False
    for name, p in model.named_parameters():
        inside = name.startswith(f"{blocks}.")
        behind |= inside
        if inside:
            p.requires_grad_(name in reached and _block_number(name, blocks) >= first_block)
        elif not behind:
            p.requires_grad_(name in reached and first_block == 0)


def _block_number(name: str, blocks: str) -> int:
    return int(name.removeprefix(f"{blocks}.").split(".")[0])


def _target_names(model: nn.Module, blocks: str, config: AdapterConfig, reached: Collection[str]) -> list[str]:
    """Full names of the layers to adapt: Linears, or in a network without any its convolutions."""
    inside = dict(model.get_submodule(blocks).named_modules(prefix=blocks))
    layers = [name for name, module in inside.items() if isinstance(module, nn.Linear)]
    layers = layers or [n for n, m in inside.items() if isinstance(m, nn.Conv2d) and m.groups == 1]
    layers = [n for n in layers if f"{n}.weight" in reached and _block_number(n, blocks) >= config.first_block]
    present = {name.rpartition(".")[2] for name in layers}
    split = any(isinstance(module, SplitQKV) for module in model.modules())
    wanted = set(SAM_TARGETS if split and set(SAM_TARGETS) <= present else present)
    wanted = wanted if config.targets is None else set(config.targets)
    if not wanted or wanted - present:
        raise ConfigError(
            f"teacher.adapter.targets must name Linear layers or convolutions of the model's blocks, found "
            f"{sorted(wanted - present) or 'none'}; its blocks from {config.first_block} on have {sorted(present)}."
        )
    return [name for name in layers if name.rpartition(".")[2] in wanted]


def _low_rank(model: nn.Module, names: list[str], config: AdapterConfig, total_steps: int | None) -> LoraModel:
    # The tuner itself and not get_peft_model, whose wrapper is of no use to a caller that runs the blocks on its own.
    # An expression and not a list, whose entries would match as endings of other names too.
    shared: dict[str, Any] = {"target_modules": "|".join(map(re.escape, names)), "lora_alpha": config.alpha}
    if config.method != "adalora":
        return LoraModel(model, LoraConfig(r=config.rank, use_dora=config.method == "dora", **shared), _NAME)
    settings = AdaLoraConfig(
        init_r=config.rank,
        target_r=config.target_rank,
        beta1=config.beta1,
        beta2=config.beta2,
        **schedule(config, total_steps),
        **shared,
    )
    tuner = AdaLoraModel(model, settings, _NAME)
    for name, p in model.named_parameters():
        if ".ranknum." in name:  # a constant, which peft unfreezes when it moves it to the device or dtype of the base
            p.requires_grad_(False)
    tuner.rankallocator = Allocator(model, settings, _NAME)
    return tuner

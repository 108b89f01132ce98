"""Parameter-efficient fine-tuning of a foundation model with peft's layers (METHOD section 3).

    split_qkv(encoder)                                              # SAM: separate ranks for q, k and v
    adapter = adapt(encoder, "layers", config, total_steps=steps)   # changes encoder in place
    ... loss + config.orthogonality * adapter.orthogonality() ... optimizer.step()
    adapter.allocate(step)                                          # step 1, 2, ..., before zero_grad

peft replaces Linears inside the model. The ``Adapter`` is not an nn.Module, which would register parameters twice.
AdaLoRA: Zhang et al., ICLR 2023, Algorithm 1.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import AdaLoraConfig, AdaLoraModel, LoraConfig, LoraModel
from peft.tuners.adalora import AdaLoraLayer
from torch import Tensor, nn

from elite.config import AdapterConfig
from elite.errors import CheckpointError, ConfigError
from elite.files import write_bytes
from elite.shapes import Float
from elite.teacher.adalora import Allocator, distance_from_orthonormal, schedule
from elite.teacher.qkv import SplitQKV, fuse_qkv
from elite.teacher.tensor_file import pack, unpack
from elite.version import __version__
from elite.weights.torch_file import check_numbers

FORMAT = "elite-adapter-1"
SAM_TARGETS = ("q", "k", "v", "proj", "lin1", "lin2")
_NAME = "default"  # default name of an adapter in peft


@dataclass(eq=False)
class Adapter:
    """Adaptation of a foundation model: its trained parameters and, for low-rank updates, the tuner of peft.

    Attributes:
        model: foundation model, adapted in place.
        config: settings of the adaptation.
        trained: names of the trained parameters of ``model``.
        tuner: object of peft that manages its layers in ``model``; None for the methods full and frozen.
    """

    model: nn.Module
    config: AdapterConfig
    trained: tuple[str, ...]
    tuner: LoraModel | None = None

    def allocate(self, step: int) -> None:
        """Allocate ranks by importance (AdaLoRA only; otherwise do nothing).

        Call it once after each optimiser step ``step`` = 1, 2, ..., T, before its gradients are cleared, and not after
        a skipped step. The budget then holds after each allocation, and in each forward pass of the last ``tfinal``
        steps: the final ranks are applied after step T - tfinal and after each later step, since momentum changes
        zeroed values. Parameters without gradient keep their importance.
        """
        if not isinstance(self.tuner, AdaLoraModel):
            return
        self.tuner.update_and_allocate(step)
        settings: Any = self.tuner.peft_config[_NAME]
        if self.config.hold_budget and settings.rank_pattern:
            self.tuner.rankallocator.mask_using_rank_pattern(self.model, settings.rank_pattern)

    def orthogonality(self) -> Float[Tensor, ""]:
        """Mean Frobenius norm of A A^T - I and B^T B - I over all A and B (AdaLoRA only; otherwise 0)."""
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
        """Number of non-zero singular values by adapted layer (AdaLoRA only; otherwise empty)."""
        layers = self._layers()
        counts = [layer.lora_E[_NAME].count_nonzero() for layer in layers.values()]
        return dict(zip(layers, torch.stack(counts).tolist(), strict=True)) if counts else {}

    def budget_used(self) -> int:
        """Total number of non-zero singular values (AdaLoRA only; otherwise 0)."""
        return sum(self.ranks().values())

    def allocator_state(self) -> dict[str, Any]:
        """State of ``allocate`` outside the state_dict of the model: plain values and tensors; {} without AdaLoRA."""
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
        """Restore the state that ``allocator_state`` returned.

        Raises:
            CheckpointError: it belongs to another adapter, or to a run of another length.
        """
        expected = self.allocator_state()
        if state.keys() != expected.keys():
            raise CheckpointError(
                f"allocator of the checkpoint: expected {sorted(expected)} for the adapter method "
                f"'{self.config.method}', found {sorted(state)}. Resume with the settings of the checkpoint."
            )
        if not isinstance(self.tuner, AdaLoraModel):
            return
        if state["total_steps"] != expected["total_steps"]:
            raise CheckpointError(
                f"AdaLoRA schedule of the checkpoint: expected {expected['total_steps']} optimiser steps, found "
                f"{state['total_steps']}. Resume with the run length of the checkpoint."
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
                        f"allocator of the checkpoint: expected the parameters of this adapter, found '{name}' of "
                        f"shape {tuple(value.shape)}. Resume with the adapter settings of the checkpoint."
                    )

    def save(self, path: Path) -> None:
        """Write the trained parameters and the identity of their base model to a safetensors file, atomically."""
        parameters = dict(self.model.named_parameters())
        tensors = {name: parameters[name] for name in self.trained}
        write_bytes(path, pack(tensors, FORMAT, {**self._identity(), "version": __version__}))

    def load(self, path: Path) -> None:
        """Load parameters that ``save`` wrote.

        Raises:
            CheckpointError: the file is unreadable, or its method, foundation model or tensors do not match.
        """
        parameters = {n: p for n, p in self.model.named_parameters() if n in self.trained}
        with unpack(path, FORMAT, expected="a readable adapter file", remedy="Copy the file again") as (record, file):
            self._check_record(record, path)
            found = file.shapes
            faults = [n for n, p in parameters.items() if n not in found or found[n].shape != p.shape]
            faults += [n for n in found if n not in parameters]
            if faults:
                raise CheckpointError(
                    f"{path}: expected the tensors of this adapter, found {len(faults)} that are missing, unknown or "
                    f"of another shape, such as '{faults[0]}'. Use the adapter settings it was trained with."
                )
            tensors = file.read()
        check_numbers(tensors, path)
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(tensors[name])

    def _check_record(self, record: dict[str, Any], path: Path) -> None:
        if not record:
            raise CheckpointError(
                f"{path}: expected '{FORMAT}' in the metadata of an adapter, found another safetensors file. "
                "Give a file that Adapter.save wrote."
            )
        for key, value in self._identity().items():
            if record.get(key) != value:
                raise CheckpointError(
                    f"{path}: expected an adapter with {key} {value}, found {key} {record.get(key)}. "
                    "Use the foundation model and the adapter settings it was trained with."
                )

    def merge(self) -> nn.Module:
        """Add the updates to the weights, fuse q, k and v, and return the plain model.

        The model changes in place, and this adapter becomes invalid. To continue training, merge a ``copy.deepcopy``.
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
        """Hash of the names, shapes and bytes of all frozen parameters and buffers."""
        digest = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            if name in self.trained or ".ranknum." in name:  # ranknum is a constant of peft, not part of the base model
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
    in_use: Collection[str] | None = None,
) -> Adapter:
    """Freeze ``model``, except the parameters that ``config`` trains in the blocks from ``config.first_block`` on.

    - adalora, lora, dora: low-rank updates, initially zero, of the Linears in ``config.targets``. The default is
      (q, k, v, proj, lin1, lin2) for SAM after ``split_qkv``, and all Linears of the blocks for other models. In a
      network without Linears, its convolutions are adapted.
    - full: all weights of these blocks. If first_block is 0, also the parameters registered before the blocks (patch
      and position embeddings). Later layers (the neck of SAM, a last norm) remain frozen.
    - frozen: none.

    Args:
        blocks: dotted name of the ModuleList of blocks.
        total_steps: optimiser steps of the run; only adalora requires them.
        in_use: names of the parameters that the maps depend on (default: all), as ``Backbone.parameters_in_use``
            returns them. Others are not trained: they have no gradient, for which parallel processes would wait.

    Raises:
        ConfigError: an unknown block or layer, or too few steps for the phases of AdaLoRA.
    """
    if in_use is None:
        in_use = {name for name, _ in model.named_parameters()}
    count = 1 + max(_block_number(name, blocks) for name in in_use if name.startswith(f"{blocks}."))
    if config.first_block >= count:
        raise ConfigError(
            f"teacher.adapter.first_block: expected a block 0..{count - 1}, up to the last tap, found "
            f"{config.first_block}. Lower it."
        )
    model.requires_grad_(False)
    tuner = None
    if config.method == "full":
        _unfreeze(model, blocks, config.first_block, in_use)
    elif config.method != "frozen":
        tuner = _low_rank(model, _target_names(model, blocks, config, in_use), config, total_steps)
    trained = tuple(name for name, p in model.named_parameters() if p.requires_grad)
    return Adapter(model, config, trained, tuner)


def count_parameters(module: nn.Module) -> tuple[int, int]:
    """Number of trainable and of frozen parameters."""
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return trainable, sum(p.numel() for p in module.parameters()) - trainable


def _unfreeze(model: nn.Module, blocks: str, first_block: int, in_use: Collection[str]) -> None:
    is_past_blocks = False
    for name, p in model.named_parameters():
        inside = name.startswith(f"{blocks}.")
        is_past_blocks |= inside
        if inside:
            p.requires_grad_(name in in_use and _block_number(name, blocks) >= first_block)
        elif not is_past_blocks:
            p.requires_grad_(name in in_use and first_block == 0)


def _block_number(name: str, blocks: str) -> int:
    return int(name.removeprefix(f"{blocks}.").split(".")[0])


def _target_names(model: nn.Module, blocks: str, config: AdapterConfig, in_use: Collection[str]) -> list[str]:
    """Full names of the layers to adapt: Linears, or convolutions in a network without Linears."""
    inside = dict(model.get_submodule(blocks).named_modules(prefix=blocks))
    layers = [name for name, module in inside.items() if isinstance(module, nn.Linear)]
    layers = layers or [n for n, m in inside.items() if isinstance(m, nn.Conv2d) and m.groups == 1]
    layers = [n for n in layers if f"{n}.weight" in in_use and _block_number(n, blocks) >= config.first_block]
    present = {name.rpartition(".")[2] for name in layers}
    split = any(isinstance(module, SplitQKV) for module in model.modules())
    wanted = set(SAM_TARGETS if split and set(SAM_TARGETS) <= present else present)
    wanted = wanted if config.targets is None else set(config.targets)
    if not wanted or wanted - present:
        raise ConfigError(
            f"teacher.adapter.targets: expected Linear layers or convolutions in the blocks from {config.first_block} "
            f"on ({', '.join(sorted(present))}), found "
            f"{', '.join(sorted(wanted - present)) or 'none'}. Correct the names."
        )
    return [name for name in layers if name.rpartition(".")[2] in wanted]


def _low_rank(model: nn.Module, names: list[str], config: AdapterConfig, total_steps: int | None) -> LoraModel:
    # The tuner without the wrapper of get_peft_model, since elite runs the blocks of the model itself.
    # A regular expression, since the entries of a list would also match the ends of other names.
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
        if (
            ".ranknum." in name
        ):  # a constant, which peft unfreezes when it moves the constant to another device or dtype
            p.requires_grad_(False)
    tuner.rankallocator = Allocator(model, settings, _NAME)
    return tuner

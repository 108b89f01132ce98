"""Settings of the teacher and of the adaptation of its foundation model."""

from dataclasses import dataclass, field
from typing import Literal

from elite.config._checks import require, require_at_least, require_positive, rises
from elite.config._records import expand_home

_MAX_CHANNELS = 4096  # about twice those of the widest foundation model


@dataclass(frozen=True)
class AdapterConfig:
    """Adaptation of the foundation model. The defaults are the AdaLoRA of ELiTe.

    The lengths of AdaLoRA's schedule are shares of the optimiser steps of the run.

    Attributes:
        method: adaptation: low-rank updates of frozen weights (adalora, lora, dora), all weights (full), or none
            (frozen).
        rank: rank of each update; of AdaLoRA, the initial one.
        target_rank: mean rank at the end of AdaLoRA.
        alpha: scale of the updates (alpha / rank).
        targets: names of the adapted layers; by default those of the paper for SAM, otherwise each Linear in the
            blocks.
        first_block: first adapted block. Blocks before it are computed without a graph.
        initial: share of the steps before AdaLoRA prunes ranks.
        final: share of the steps with fixed ranks, at the end of AdaLoRA.
        interval: share of the steps between two allocations of AdaLoRA (at least one step).
        beta1: smoothing of AdaLoRA's importance.
        beta2: smoothing of the uncertainty of AdaLoRA's importance.
        orthogonality: weight of AdaLoRA's regularisation.
        hold_budget: apply the last allocation of AdaLoRA after each step. Pruned ranks then do not recover between
            allocations.
    """

    method: Literal["adalora", "lora", "dora", "full", "frozen"] = "adalora"
    rank: int = 12
    target_rank: int = 8
    alpha: float = 1.0
    targets: tuple[str, ...] | None = None
    first_block: int = 0
    initial: float = 1 / 6
    final: float = 1 / 2
    interval: float = 1 / 300
    beta1: float = 0.85
    beta2: float = 0.85
    orthogonality: float = 0.1
    hold_budget: bool = False

    def __post_init__(self) -> None:
        prefix = "teacher.adapter."
        require(1 <= self.rank <= _MAX_CHANNELS, f"{prefix}rank", f"1 to {_MAX_CHANNELS}", self.rank)
        is_smaller = self.method != "adalora" or 1 <= self.target_rank < self.rank
        require(is_smaller, f"{prefix}target_rank", f"1 to rank - 1 = {self.rank - 1}", self.target_rank)
        require_positive(self, prefix, "alpha")
        require_at_least(0, self, prefix, "first_block", "orthogonality")
        is_schedule = self.initial > 0 and self.final > 0 and self.initial + self.final < 1
        found = f"{self.initial} and {self.final}"
        require(is_schedule, f"{prefix}initial, {prefix}final", "positive shares with a sum below 1", found)
        for name in ("interval", "beta1", "beta2"):
            value = getattr(self, name)
            require(0 < value < 1, f"{prefix}{name}", "a number in (0, 1)", value)


@dataclass(frozen=True)
class TeacherConfig:
    """Camera teacher: an adapted vision foundation model with a head per stage of the student.

    Attributes:
        weights: weights of the foundation model: transformers folder or hub id, SAM .pth file of Meta, or folder of
            elite train-teacher. none = no teacher; random = untrained, for trials. Required.
        model: architecture for random weights: sam-vit-b, sam-vit-l, sam-vit-h, sam-tiny, resnet-tiny, or a folder or
            file with a transformers config.json.
        depths: blocks with an output, one per stage of the student, counted from 0; by default evenly spaced (2, 5, 8,
            11 for the 12 blocks of SAM ViT-B).
        rel_pos: relative positions of SAM on a crop: slice = those of the square model; interpolate = resampled.
        channels: channels of the taps, the layers that upsample maps of the foundation model for the heads.
        heads: initial taps and heads: new, or pretrained = those of elite train-teacher --objective classes, in the
            folder of the weights. These have learned labels of other streets.
        checkpointing: recompute activations in the backward pass, to save memory.
    """

    weights: str | None = None
    model: str = "sam-vit-b"
    depths: tuple[int, ...] | None = None
    rel_pos: Literal["slice", "interpolate"] = "slice"
    channels: int = 96
    heads: Literal["new", "pretrained"] = "new"
    checkpointing: bool = False
    adapter: AdapterConfig = field(default_factory=AdapterConfig)

    def __post_init__(self) -> None:
        expand_home(self)
        require(1 <= self.channels <= _MAX_CHANNELS, "teacher.channels", f"1 to {_MAX_CHANNELS}", self.channels)
        is_valid = self.depths is None or (len(self.depths) > 0 and self.depths[0] >= 0 and rises(self.depths))
        require(is_valid, "teacher.depths", "increasing block numbers from 0", self.depths)

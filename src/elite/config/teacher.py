"""Settings of the teacher and of how its foundation model is adapted."""

from dataclasses import dataclass, field
from typing import Literal

from elite.config._records import expand_home, require, rises

_WIDEST = 4096  # channels, about twice the widest foundation model's


@dataclass(frozen=True)
class AdapterConfig:
    """How the foundation model is adapted. Defaults: ELiTe's AdaLoRA.

    The lengths of AdaLoRA's schedule are shares of the run's optimiser steps T, which are counted, never typed.

    Attributes:
        method: adalora, lora, dora = low-rank updates of frozen weights; full = all weights are trained; frozen = none.
        rank: rank of every update (AdaLoRA: the initial one).
        target_rank: AdaLoRA: mean rank that is left in the end.
        alpha: scale of the updates (alpha / rank).
        targets: names of the layers that are adapted; default: those of the paper for SAM, else every Linear in the
            blocks.
        first_block: blocks below this one are left alone (and computed without a graph).
        initial: AdaLoRA: share of T before ranks are pruned.
        final: AdaLoRA: share of T at the end with fixed ranks.
        interval: AdaLoRA: share of T between two allocations (at least one step).
        beta1: AdaLoRA: smoothing of the importance.
        beta2: AdaLoRA: smoothing of the importance's uncertainty.
        orthogonality: AdaLoRA: weight of the regularisation.
        hold_budget: AdaLoRA: apply the last allocation after every step, so that pruned ranks cannot recover between
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
        require(1 <= self.rank <= _WIDEST, f"teacher.adapter.rank must be from 1 to {_WIDEST}, found {self.rank}.")
        require(
            self.method != "adalora" or 1 <= self.target_rank < self.rank,
            f"teacher.adapter.target_rank must be in [1, rank), found {self.target_rank} with rank {self.rank}.",
        )
        require(self.alpha > 0, f"teacher.adapter.alpha must be positive, found {self.alpha}.")
        require(self.first_block >= 0, f"teacher.adapter.first_block must not be negative, found {self.first_block}.")
        require(
            self.initial > 0 and self.final > 0 and self.initial + self.final < 1,
            "teacher.adapter.initial and final are shares of the run that leave something between them, found "
            f"{self.initial} and {self.final}.",
        )
        require(0 < self.interval < 1, f"teacher.adapter.interval is a share in (0, 1), found {self.interval}.")
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            require(0 < value < 1, f"teacher.adapter.{name} must be in (0, 1), found {value}.")
        require(
            self.orthogonality >= 0,
            f"teacher.adapter.orthogonality must not be negative, found {self.orthogonality}.",
        )


@dataclass(frozen=True)
class TeacherConfig:
    """The camera network that teaches: a vision foundation model, adapted, with a head per stage of the student.

    Attributes:
        weights: of the foundation model: a transformers folder or hub id, Meta's SAM .pth, or what elite train-teacher
            wrote. none = no teacher; random = an untrained one, for trials. Not giving any is an error.
        model: architecture for random weights: sam-vit-b, sam-vit-l, sam-vit-h, sam-tiny, resnet-tiny, or a folder or
            file with a transformers config.json.
        depths: blocks whose output is tapped, one per stage of the student, counted from 0; default: evenly spaced
            (2, 5, 8, 11 of SAM ViT-B's 12).
        rel_pos: SAM's relative positions on a crop: slice = those of the square model, interpolate = stretched.
        channels: width of the taps.
        heads: taps and heads start anew, or pretrained: as elite train-teacher --objective classes left them beside the
            weights (labels of other streets then speak in them).
        checkpointing: recompute activations in the backward pass to save memory.
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
        require(1 <= self.channels <= _WIDEST, f"teacher.channels must be from 1 to {_WIDEST}, found {self.channels}.")
        require(
            self.depths is None or (len(self.depths) > 0 and self.depths[0] >= 0 and rises(self.depths)),
            f"teacher.depths must be block numbers from 0 that rise, found {self.depths}.",
        )

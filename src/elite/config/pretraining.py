"""Settings of the pre-training of a foundation model."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from elite.config._records import expand_home, require
from elite.config.data import ImageConfig


@dataclass(frozen=True)
class ImageDataConfig:
    """Which images a foundation model is pre-trained on.

    Attributes:
        root: the data set, the folder that holds ``sequences/``; its scans are not read and need not exist.
        sequences: numbers (00,01 or 0-7) or split names; by default every sequence with images.
        frames: images within each sequence, 0-2 or 0,5; all by default.
        val_sequences: sequences that are left out of the above and scored on in the end; none = no score.
        val_frames: images within those.
        cameras: image folders: image_2,image_3. Dense labels are those of image_2_labels and so on.
        batch_size: images a step.
        workers: loader processes.
        timeout: longest wait for a batch, in seconds (0 = no limit); the run then ends and names the open files.
    """

    root: Path | None = None
    sequences: str | None = None
    frames: str | None = None
    val_sequences: str = "none"
    val_frames: str | None = None
    cameras: str = "image_2"
    batch_size: int = 4
    workers: int = 1
    timeout: float = 300.0

    def __post_init__(self) -> None:
        expand_home(self)
        require(self.batch_size >= 1, f"data.batch_size must be at least 1, found {self.batch_size}.")
        require(self.workers >= 0, f"data.workers must not be negative, found {self.workers}.")
        require(0 <= self.timeout <= 1e8, f"data.timeout must be in [0, 1e8] s (0 = no limit), found {self.timeout}.")


@dataclass(frozen=True)
class PretrainConfig:
    """Pre-training of a vision foundation model from random weights, on images alone.

    Attributes:
        out: folder of the model that is written.
        overwrite: replace the model that ``out`` holds already; otherwise that is an error.
        model: architecture, as ``teacher.model``.
        objective: segments = tell the segments of an image apart, without class names (dense labels are read as a
            partition only); classes = name every pixel's class; reconstruction = paint hidden patches, without labels.
        hidden: share of an image's patches (16 x 16 pixels) that are greyed out; the objective asks for their colours.
        queries: pixels of an image whose segment is asked for.
        width: channels of the objective's own layers. They are thrown away, but for the taps and heads of classes.
        image: a crop may lie anywhere in the image, not only on its lowest rows.
        steps: optimiser steps.
        lr: of AdamW; a cosine takes it to 0.
        weight_decay: of AdamW.
        warmup_steps: linear rise of the rate in the beginning.
        clip: largest norm of the gradient.
        accelerator: auto, cpu, cuda.
        precision: Lightning's name: 32-true, bf16-mixed or, not on a CPU, 16-mixed.
        seed: of weights, order and augmentation.
    """

    out: Path = Path("runs/foundation")
    overwrite: bool = False
    model: str = "resnet-tiny"
    objective: Literal["segments", "classes", "reconstruction"] = "segments"
    hidden: float = 0.3
    queries: int = 48
    width: int = 64
    data: ImageDataConfig = field(default_factory=ImageDataConfig)
    image: ImageConfig = field(default_factory=lambda: ImageConfig(crop=(160, 160)))
    steps: int = 1000
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 20
    clip: float = 1.0
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        expand_home(self)
        require(0 <= self.hidden < 1, f"hidden is a share in [0, 1), found {self.hidden}.")
        require(
            self.hidden > 0 or self.objective != "reconstruction",
            "objective reconstruction has nothing to paint with hidden 0; hide a share of the patches, such as 0.3.",
        )
        for name in ("queries", "width", "steps"):
            value = getattr(self, name)
            require(value >= 1, f"{name} must be at least 1, found {value}.")
        require(self.lr > 0, f"lr must be positive, found {self.lr}.")
        require(self.weight_decay >= 0, f"weight_decay must not be negative, found {self.weight_decay}.")
        require(self.warmup_steps >= 0, f"warmup_steps must not be negative, found {self.warmup_steps}.")
        require(self.clip > 0, f"clip must be positive, found {self.clip}.")
        require(0 <= self.seed < 2**32, f"seed must be in [0, 2^32), found {self.seed}.")

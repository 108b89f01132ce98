"""Settings of a teacher training."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from elite.config._checks import (
    require,
    require_at_least,
    require_loader,
    require_positive,
    require_seed,
    require_shares_below_one,
)
from elite.config._records import expand_home
from elite.config.data import ImageConfig


@dataclass(frozen=True)
class ImageDataConfig:
    """Images for training and scoring a foundation model.

    Attributes:
        root: data set folder that contains ``sequences/``. Scans are not read and need not exist.
        sequences: sequence numbers (00,01 or 0-7) or split names. Default: every sequence with images.
        frames: images within each sequence, such as 0-2 or 0,5. Default: all.
        val_sequences: held-out sequences, scored at the end (none = no score).
        val_frames: images within the held-out sequences.
        cameras: image folders, such as image_2,image_3. Dense labels are read from image_2_labels and so on.
        format: semantickitti, nuscenes, or a class package.module:Class. Default: recognised by the files of the root.
        taxonomy: classes of the dense labels: a packaged taxonomy, or a YAML file. Default: that of the format.
        batch_size: images per step.
        workers: number of loader processes.
        timeout: longest wait for a batch, in seconds (0 = no limit). After it, the run ends and names the open files.
    """

    root: Path | None = None
    sequences: str | None = None
    frames: str | None = None
    val_sequences: str = "none"
    val_frames: str | None = None
    cameras: str = "image_2"
    format: str | None = field(default=None, metadata={"imports": True})
    taxonomy: str | None = None
    batch_size: int = 4
    workers: int = 1
    timeout: float = 300.0

    def __post_init__(self) -> None:
        expand_home(self)
        require_loader(self)


@dataclass(frozen=True)
class TeacherTrainingConfig:
    """Training of a vision foundation model from random weights, on images only.

    Attributes:
        out: folder of the written model.
        overwrite: replace a model that ``out`` already contains.
        model: architecture, as ``teacher.model``.
        objective: segments = separate the segments of an image, without class names (dense labels are read as a
            partition only); classes = classify every pixel; reconstruction = predict hidden patches, without labels.
        hidden: fraction of image patches (16 x 16 pixels) that are hidden; the objective predicts their colours.
        queries: pixels per image whose segment is predicted.
        width: channels of the objective's own layers. Only objective classes keeps them.
        image: crop and augmentation. A crop may lie anywhere in the image, not only on its lowest rows.
        steps: number of optimiser steps.
        lr: peak learning rate of AdamW; a cosine lowers it to 0.
        weight_decay: weight decay of AdamW.
        warmup_steps: steps of linear warm-up.
        clip: largest gradient norm.
        accelerator: auto, cpu or cuda.
        precision: 32-true, bf16-mixed or 16-mixed (not on a CPU).
        seed: seed of weights, order and augmentation.
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
        require_shares_below_one(self, "", "hidden")
        hides = self.hidden > 0 or self.objective != "reconstruction"
        require(hides, "hidden", "more than 0 for objective reconstruction", self.hidden, "Give a share such as 0.3.")
        require_at_least(1, self, "", "queries", "width", "steps")
        require_at_least(0, self, "", "weight_decay", "warmup_steps")
        require_positive(self, "", "lr", "clip")
        require_seed(self.seed)

"""Settings of the dense pseudo-labels."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from elite.config._records import expand_home, require


@dataclass(frozen=True)
class VoteConfig:
    """Which regions count, and for what.

    Attributes:
        support: labelled pixels of its class (and object) that a region must hold, where all points show their labels;
            where a share does, that share of it, at least 1: else small things would drown in what is around them.
        purity: share of a region's labelled pixels that must be of its class (and object).
        stability: smallest agreement of the region drawn tighter and wider.
        iou: smallest quality that the proposer itself predicts.
    """

    support: int = 3
    purity: float = 0.6
    stability: float = 0.7
    iou: float = 0.3

    def __post_init__(self) -> None:
        require(self.support >= 1, f"vote.support must be at least 1, found {self.support}.")
        for name in ("purity", "stability", "iou"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"vote.{name} is a share in [0, 1], found {value}.")

    def of_share(self, share: float) -> "VoteConfig":
        """What holds where a share of the points show their labels."""
        return replace(self, support=max(1, round(self.support * share)))


@dataclass(frozen=True)
class PseudoLabelConfig:
    """Dense labels of images from the labels of LiDAR points.

    Attributes:
        out: root of what is written; by default that of the data set.
        folder: the last word of the folders' names: image_2_pseudo, labels_pseudo.
        sequences: split names or numbers, 00,01 or 0-7; by default every sequence.
        frames: frames within each sequence, 0-2 or 0,5; all by default.
        labels: label folder: labels, labels_partial, ...
        label_fraction: use this share of the labels only: what training on the same sequences and frames with the same
            share, unit and seed sees.
        label_unit: what the share is taken of: scans, or points of every scan.
        seed: with label_unit points, which of them: training's seed.
        cameras: image folders: image_2,image_3.
        proposer: where regions come from: watershed = floods the image's gradients from the labelled pixels, needs no
            weights; sam = SAM, SAM 2 or SAM-HQ; or one of your own, package.module:Class. By default sam if weights are
            given, else watershed.
        weights: of sam: Meta's .pth, a transformers folder or a hub id.
        device: of sam: auto, cpu, cuda.
        precision: of sam: fp32 or bf16.
        strategy: segments = ours; released = the procedure of the published code, for comparison.
        batch: prompts asked at once; between two such rounds, what is covered already is not asked again.
        skip_purity: a labelled pixel counts as covered inside an accepted region of its class (and object) that is at
            least so pure.
        lift: also write labels of points, labels_pseudo/N.label: the labels that are there, and those that points
            without one get from their pixel, where the nearest labelled point in space is of the same class.
        pictures: also draw image, points, regions and result of every frame.
        overwrite: make again what is there and whole.
        devices: processes on this machine.
    """

    out: Path | None = None
    folder: str = "pseudo"
    sequences: str | None = None
    frames: str | None = None
    labels: str = "labels"
    label_fraction: float = 1.0
    label_unit: Literal["scans", "points"] = "scans"
    seed: int = 0
    cameras: str = "image_2"
    proposer: str | None = field(default=None, metadata={"imports": True})
    weights: str | None = None
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    strategy: Literal["segments", "released"] = "segments"
    vote: VoteConfig = field(default_factory=VoteConfig)
    batch: int = 16
    skip_purity: float = 0.9
    lift: bool = False
    pictures: bool = False
    overwrite: bool = False
    devices: int = 1

    def __post_init__(self) -> None:
        expand_home(self)
        require(
            self.folder.isidentifier() and self.folder != "labels",
            f"folder must be a plain word such as pseudo, and not labels (true ones), found '{self.folder}'.",
        )
        require(
            self.labels != f"labels_{self.folder}",
            f"--labels {self.labels} is where --lift writes to; choose another --folder.",
        )
        require(
            self.label_fraction == 1 or self.label_unit == "points" or self.sequences is not None,
            "a share of the scans is a share of those that training counts: give --sequences as training has it "
            "(train).",
        )
        require(0 < self.label_fraction <= 1, f"label_fraction is a share in (0, 1], found {self.label_fraction}.")
        require(self.batch >= 1, f"batch must be at least 1, found {self.batch}.")
        require(0 <= self.skip_purity <= 1, f"skip_purity is a share in [0, 1], found {self.skip_purity}.")
        require(self.devices >= 1, f"devices must be at least 1, found {self.devices}.")

"""Settings of the dense pseudo-labels."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from elite.config._checks import require, require_at_least, require_shares
from elite.config._records import expand_home


@dataclass(frozen=True)
class VoteConfig:
    """Conditions that a region must meet to get a label.

    Attributes:
        support: smallest number of labelled pixels of its class (and object) in a region, if all points are labelled.
            With a share of the labels, it shrinks by that share, to at least 1; otherwise small objects would get the
            label of their surroundings.
        purity: smallest share of a region's labelled pixels that have its class (and object).
        stability: smallest agreement of the region with its tighter and wider version.
        iou: smallest quality that the proposer itself predicts.
    """

    support: int = 3
    purity: float = 0.6
    stability: float = 0.7
    iou: float = 0.3

    def __post_init__(self) -> None:
        require_at_least(1, self, "vote.", "support")
        require_shares(self, "vote.", "purity", "stability", "iou")

    def of_share(self, share: float) -> "VoteConfig":
        """Return the conditions for points of which only a share is labelled."""
        return replace(self, support=max(1, round(self.support * share)))


@dataclass(frozen=True)
class PseudoLabelConfig:
    """Generation of dense image labels from the labels of LiDAR points.

    Attributes:
        out: root of the output; by default the data set.
        folder: last word of the output folders, as in image_2_pseudo and labels_pseudo.
        sequences: split names or numbers, such as 00,01 or 0-7; by default all.
        frames: frames within each sequence, such as 0-2 or 0,5; by default all.
        labels: label folder, such as labels or labels_partial.
        label_fraction: share of the labels that is used: the labels that training uses with the same sequences,
            frames, share, unit and seed.
        label_unit: unit of that share: scans, or points of each scan.
        seed: seed of the labelled points with label_unit points; that of the training.
        format: semantickitti, nuscenes, or a class package.module:Class. Default: recognised by the files of DATA.
        taxonomy: classes of the labels: a packaged taxonomy, or a YAML file. Default: that of the format.
        sensor: LiDAR of the scans: a packaged sensor, or a YAML file. Default: that of the data set.
        cameras: cameras, such as image_2,image_3. The default means image_2 of SemanticKITTI, and all cameras of other
            data sets.
        proposer: source of the regions: watershed floods the gradients of the image from the labelled pixels and needs
            no weights; sam is SAM, SAM 2 or SAM-HQ; package.module:Class is your own. By default sam if weights are
            given, otherwise watershed.
        weights: weights of SAM: .pth file of Meta, transformers folder or hub id.
        device: device of SAM: auto, cpu or cuda.
        precision: number format of SAM.
        strategy: procedure: segments = that of elite; released = that of the published code, for comparison.
        batch: prompts per call of the proposer. Pixels that one call has covered are not prompted by the next.
        skip_purity: smallest purity of a region that covers the labelled pixels of its class (and object) in it.
        lift: write point labels too, to labels_pseudo/NAME.label: the given labels, and for other points the label of
            their pixel if the nearest labelled point in space has the same class.
        pictures: draw image, points, regions and result of each frame.
        overwrite: regenerate complete outputs.
        devices: number of processes on this machine.
        strict: doubtful inputs (remission, height, axes, points without a return) are errors instead of warnings.
    """

    out: Path | None = None
    folder: str = "pseudo"
    sequences: str | None = None
    frames: str | None = None
    labels: str = "labels"
    label_fraction: float = 1.0
    label_unit: Literal["scans", "points"] = "scans"
    seed: int = 0
    format: str | None = field(default=None, metadata={"imports": True})
    taxonomy: str | None = None
    sensor: str | None = None
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
    strict: bool = False

    def __post_init__(self) -> None:
        expand_home(self)
        is_word = self.folder.isidentifier() and self.folder != "labels"
        require(is_word, "folder", "a word such as pseudo, except labels", f"'{self.folder}'")
        is_output = self.labels == f"labels_{self.folder}"
        require(not is_output, "labels", "another folder than that of --lift", self.labels, "Choose another --folder.")
        require(0 < self.label_fraction <= 1, "label_fraction", "a share in (0, 1]", self.label_fraction)
        require(
            self.label_fraction == 1 or self.label_unit == "points" or self.sequences is not None,
            "sequences",
            "the training sequences for a share of the scans",
            "none",
            "Give --sequences as for training, such as train.",
        )
        require_at_least(1, self, "", "batch", "devices")
        require_shares(self, "", "skip_purity")

"""Settings of what is read, and of what becomes of it before a network sees it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from elite.config._records import expand_home, require


@dataclass(frozen=True)
class DataConfig:
    """Which frames are read, and how.

    Attributes:
        root: the data set, the folder that holds ``sequences/``.
        derived: folder that ``elite pseudo-label --out`` wrote, for a data set that is read-only: ``dense_labels`` and
            ``labels`` with generated names (image_2_pseudo, labels_pseudo) are read from there if they are there.
        sequences: training sequences: split names (train, valid, test) or numbers, 00,01 or 0-7.
        frames: training frames within each sequence, 0-2 or 0,5; all by default.
        val_sequences: sequences that the model is scored on while training; none = no validation.
        val_frames: frames within those.
        labels: folder of the training labels: labels, labels_partial, scribbles, ... Validation reads labels.
        label_fraction: share of the training labels that is used; the rest counts as unlabelled, for the teacher too.
        label_unit: what the share is taken of: scans (0.01 = every 100th training scan) or points of every scan.
        repeat_labelled: repeat the scans that show labels until an epoch is about as long as with all of them; scans
            without labels, where they take part, have the labelled ones repeated anyway.
        cameras: image folders that the teacher sees: image_2,image_3. A frame without image trains the student alone.
        require_images: a frame without an image of every camera is an error.
        dense_labels: what teaches the teacher: none = labels of the points at their pixels, or a folder of dense
            image labels, image_2_labels or image_2_pseudo, where there is one for the frame. With a share of the
            points' labels, or another label folder: pseudo-labels that were made from the same.
        batch_size: scans a step on each device.
        workers: loader processes.
        timeout: longest wait for a batch, in seconds (0 = no limit); the run then ends and names the open files.
    """

    root: Path | None = None
    derived: Path | None = None
    sequences: str = "train"
    frames: str | None = None
    val_sequences: str = "valid"
    val_frames: str | None = None
    labels: str = "labels"
    label_fraction: float = 1.0
    label_unit: Literal["scans", "points"] = "scans"
    repeat_labelled: bool = False
    cameras: str = "image_2"
    require_images: bool = False
    dense_labels: str = "none"
    batch_size: int = 4
    workers: int = 2
    timeout: float = 300.0

    def __post_init__(self) -> None:
        expand_home(self)
        require(0 < self.label_fraction <= 1, f"data.label_fraction is a share in (0, 1], found {self.label_fraction}.")
        require(self.batch_size >= 1, f"data.batch_size must be at least 1, found {self.batch_size}.")
        require(self.workers >= 0, f"data.workers must not be negative, found {self.workers}.")
        require(0 <= self.timeout <= 1e8, f"data.timeout must be in [0, 1e8] s (0 = no limit), found {self.timeout}.")


@dataclass(frozen=True)
class CutmixConfig:
    """Instance cutmix: objects (vehicles and people with an instance id) of another training scan, drawn by chance, are
    pasted into each training scan that shows its labels. Costs the reading of one more scan, without its images.

    Attributes:
        objects: at most so many are pasted into a scan; 0 = off.
        fewest: an object of fewer points is not pasted.
        tries: places that are tried for each object before it is left out.
    """

    objects: int = 0
    fewest: int = 20
    tries: int = 10

    def __post_init__(self) -> None:
        require(self.objects >= 0, f"augment.cutmix.objects must not be negative, found {self.objects}.")
        for name in ("fewest", "tries"):
            value = getattr(self, name)
            require(value >= 1, f"augment.cutmix.{name} must be at least 1, found {value}.")


@dataclass(frozen=True)
class AugmentConfig:
    """3D augmentation of training scans, in this order: paste objects, drop, rotate, flip, scale, shift.

    Attributes:
        enabled: off = the scan as it is.
        drop: at most this share of the points is removed (a uniform share in [0, drop] each time).
        rotate: largest turn about z, degrees: uniform in [0, rotate).
        flip: none, x, y or both, one quarter each.
        scale: range of the factor on x and y.
        shift: standard deviation (m) of the offset in x, y, z.
        cutmix: objects of other scans.
    """

    enabled: bool = True
    drop: float = 0.2
    rotate: float = 360.0
    flip: bool = True
    scale: tuple[float, float] = (0.95, 1.05)
    shift: float = 0.1
    cutmix: CutmixConfig = field(default_factory=CutmixConfig)

    def __post_init__(self) -> None:
        require(0 <= self.drop < 1, f"augment.drop is a share in [0, 1), found {self.drop}.")
        require(self.rotate >= 0, f"augment.rotate must not be negative, found {self.rotate}.")
        require(
            0 < self.scale[0] <= self.scale[1],
            f"augment.scale must be a rising positive range, found {self.scale}.",
        )
        require(self.shift >= 0, f"augment.shift must not be negative, found {self.shift}.")


@dataclass(frozen=True)
class ImageConfig:
    """What becomes of an image, its pairs and its dense labels before the teacher sees them.

    Attributes:
        scale: resized by this factor first.
        crop: rows and columns that are kept: the lowest rows; columns from a random left edge in training, from the
            middle for scoring.
        jitter: brightness, contrast and saturation are each multiplied by a factor in [1 - jitter, 1 + jitter].
        flip: share of the training images that are mirrored.
    """

    scale: float = 1.0
    crop: tuple[int, int] = (320, 1024)
    jitter: float = 0.4
    flip: float = 0.5

    def __post_init__(self) -> None:
        require(self.scale > 0, f"image.scale must be positive, found {self.scale}.")
        require(min(self.crop) >= 1, f"image.crop must be positive, found {self.crop}.")
        require(0 <= self.jitter < 1, f"image.jitter must be in [0, 1), found {self.jitter}.")
        require(0 <= self.flip <= 1, f"image.flip is a share in [0, 1], found {self.flip}.")

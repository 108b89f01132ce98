"""Settings of the data: selection of frames, augmentation, crops of images."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from elite.config._checks import require, require_at_least, require_loader, require_shares, require_shares_below_one
from elite.config._records import expand_home


@dataclass(frozen=True)
class DataConfig:
    """Data set, selection of frames and labels, batches.

    Attributes:
        root: data set: its ``dataset.yaml``, or the folder that contains it, ``sequences/`` (SemanticKITTI), or
            ``v1.0-trainval/`` (nuScenes).
        derived: folder that ``elite pseudo-label -o`` has written, for a read-only data set. ``dense_labels`` and
            ``labels`` with generated names (image_2_pseudo, labels_pseudo) are read from it if it contains them.
        sequences: training sequences: split names (train, valid, test) or numbers, such as 00,01 or 0-7.
        frames: training frames within each sequence, such as 0-2 or 0,5; by default all.
        val_sequences: validation sequences; none = no validation.
        val_frames: validation frames within each sequence; by default all.
        labels: folder of the training labels, such as labels, labels_partial or scribbles. Validation reads labels.
        label_fraction: share of the training labels that is used. The rest counts as unlabelled, also for the teacher.
        label_unit: unit of that share: scans (0.01 = every 100th training scan), or points of each scan.
        unlabelled: more scans, whose labels are not used: rest = those of all sequences except those of training,
            validation and test. They take part as all scans without labels do (see ``self_training.weight``).
        repeat_labelled: repeat the labelled scans until an epoch is about as long as with all labels. If unlabelled
            scans take part, the labelled ones are always repeated.
        balance: share of the scans below which a class is rare (0 = off). A scan with a class that a share f of the
            labelled scans contains is drawn sqrt(balance / f) times as often, at least once in an epoch.
        cameras: cameras for the teacher, such as image_2,image_3 or CAM_FRONT,CAM_BACK. The default means image_2 of
            SemanticKITTI, and all cameras of other data sets. A frame without image trains only the student.
        cameras_per_frame: cameras that each training sample draws at random, among the selected ones with an image of
            its scan; by default all. Validation and pseudo-labels always use all.
        require_images: a frame without an image of each camera is an error.
        dense_labels: labels for the teacher: none = labels of the projected points, otherwise a folder of dense image
            labels, such as image_2_labels or image_2_pseudo. With few labels or another label folder, these must be
            pseudo-labels made from the same labels.
        format: described, semantickitti, nuscenes, or a class package.module:Class. Default: recognised by the files.
        taxonomy: classes of the labels: a packaged taxonomy (semantickitti, semantickitti-multiscan, nuscenes-lidarseg,
            rellis), or a YAML file, such as a label mapping of the SemanticKITTI tools. Default: that of the format.
        sensor: LiDAR of the scans, with their columns, axes and intensities: a packaged sensor (hdl-64e, hdl-32e,
            vlp-32c, os1-128), or a YAML file. Default: sensor.yaml of the data set, or that of the format. nuScenes
            accepts its own only.
        past_scans: number of past scans whose points, moved by the poses, are further input of the student, with their
            age in seconds (0 = off). It requires poses and times. Of nuScenes, scans between keyframes count. Only the
            points of the scan itself are trained and scored.
        batch_size: scans per batch and process.
        workers: number of loader processes.
        timeout: longest wait for a batch, in seconds (0 = no limit). After it, the run ends and names the open files.
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
    unlabelled: Literal["none", "rest"] = "none"
    repeat_labelled: bool = False
    balance: float = 0.0
    cameras: str = "image_2"
    cameras_per_frame: int | None = None
    require_images: bool = False
    dense_labels: str = "none"
    format: str | None = field(default=None, metadata={"imports": True})
    taxonomy: str | None = None
    sensor: str | None = None
    past_scans: int = 0
    batch_size: int = 4
    workers: int = 2
    timeout: float = 300.0

    def __post_init__(self) -> None:
        expand_home(self)
        require(0 < self.label_fraction <= 1, "data.label_fraction", "a share in (0, 1]", self.label_fraction)
        cameras = self.cameras_per_frame
        require(cameras is None or cameras >= 1, "data.cameras_per_frame", "at least 1", cameras)
        require_shares(self, "data.", "balance")
        require_at_least(0, self, "data.", "past_scans")
        require_loader(self)


@dataclass(frozen=True)
class CutmixConfig:
    """Instance cutmix: pasted objects (vehicles and people with an instance id) of another random training scan.

    Each labelled training scan takes part. This reads one more scan per scan, without its images.

    Attributes:
        objects: largest number of objects pasted into a scan (0 = off).
        fewest: smallest number of points of a pasted object.
        tries: number of places that are tried for an object before it is skipped.
    """

    objects: int = 0
    fewest: int = 20
    tries: int = 10

    def __post_init__(self) -> None:
        require_at_least(0, self, "augment.cutmix.", "objects")
        require_at_least(1, self, "augment.cutmix.", "fewest", "tries")


@dataclass(frozen=True)
class SensorAugmentConfig:
    """Variation of the sensor, so that a student holds on other units. Each scan draws its own values.

    Attributes:
        beams: largest share of the beams that are removed; each scan draws a uniform share in [0, beams]. Beams are
            those of the sensor by elevation, or 64 bands of equal elevation.
        far: largest share of the points that are removed at 50 m, and beyond. It falls to 0 at the sensor.
        jitter: standard deviation of the noise of each coordinate, in metres.
        tilt: standard deviation of roll and pitch, in degrees.
        height: largest vertical shift, in metres: uniform in [-height, height].
    """

    beams: float = 0.0
    far: float = 0.0
    jitter: float = 0.0
    tilt: float = 0.0
    height: float = 0.0

    def __post_init__(self) -> None:
        require_shares_below_one(self, "augment.sensor.", "beams", "far")
        require_at_least(0, self, "augment.sensor.", "jitter", "tilt", "height")


@dataclass(frozen=True)
class RemissionAugmentConfig:
    """Variation of the remission (0 to 1), which units scale and correct differently. Each scan draws its own values.

    The remission becomes gain * remission + offset + slope * (distance - 18 m), limited to 0..1.

    Attributes:
        gain: range of the factor.
        offset: range of the offset.
        slope: range of the change per metre of distance; below 0, distant points get darker.
        zeros: largest share of the surfaces, in cubes of 1 m, that lose their remission: it becomes 0.
        blank: share of the scans whose remission is 0 everywhere.
    """

    gain: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    slope: tuple[float, float] = (0.0, 0.0)
    zeros: float = 0.0
    blank: float = 0.0

    def __post_init__(self) -> None:
        require_shares(self, "augment.remission.", "zeros", "blank")
        require(
            0 <= self.gain[0] <= self.gain[1], "augment.remission.gain", "a range of factors, at least 0", self.gain
        )
        for name in ("offset", "slope"):
            low, high = getattr(self, name)
            require(low <= high, f"augment.remission.{name}", "an increasing range", (low, high))


@dataclass(frozen=True)
class AugmentConfig:
    """3D augmentation of training scans.

    In this order: drop; sensor.beams and far; cutmix; remission; sensor.jitter, tilt and height; rotate, flip, scale,
    shift.

    Attributes:
        enabled: augment the training scans.
        drop: largest share of points that is removed; each scan draws a uniform share in [0, drop].
        rotate: largest rotation about z, in degrees: uniform in [0, rotate).
        flip: flip none, x, y or both, one quarter each.
        scale: range of the factor on x and y.
        shift: standard deviation of the offset in x, y and z, in metres.
        cutmix: objects of other scans.
        sensor: other beams, losses, noise and mounting.
        remission: other response of the unit.
    """

    enabled: bool = True
    drop: float = 0.2
    rotate: float = 360.0
    flip: bool = True
    scale: tuple[float, float] = (0.95, 1.05)
    shift: float = 0.1
    cutmix: CutmixConfig = field(default_factory=CutmixConfig)
    sensor: SensorAugmentConfig = field(default_factory=SensorAugmentConfig)
    remission: RemissionAugmentConfig = field(default_factory=RemissionAugmentConfig)

    def __post_init__(self) -> None:
        require_shares_below_one(self, "augment.", "drop")
        require_at_least(0, self, "augment.", "rotate", "shift")
        require(0 < self.scale[0] <= self.scale[1], "augment.scale", "an increasing positive range", self.scale)


@dataclass(frozen=True)
class ImageConfig:
    """Scale, crop and augmentation of images, their point-pixel pairs and their dense labels.

    Attributes:
        scale: resize factor, applied first.
        crop: rows and columns of the crop: the lowest rows; columns from a random left edge in training, from the
            middle otherwise.
        jitter: strength of the colour jitter: brightness, contrast and saturation are each multiplied by a factor in
            [1 - jitter, 1 + jitter].
        flip: share of the training images that are mirrored.
    """

    scale: float = 1.0
    crop: tuple[int, int] = (320, 1024)
    jitter: float = 0.4
    flip: float = 0.5

    def __post_init__(self) -> None:
        require(self.scale > 0, "image.scale", "a positive factor", self.scale)
        require(min(self.crop) >= 1, "image.crop", "at least 1 row and 1 column", self.crop)
        require_shares_below_one(self, "image.", "jitter")
        require_shares(self, "image.", "flip")

"""Dense pseudo-labels of a whole data set: shared out over processes, resumable, one image at a time.

::

    OUT/sequences/SS/image_2_pseudo/semantic/N.png  instance/N.png   16 bit, raw ids, 0 = unknown
                     image_2_pseudo/N.json                           what they were made from and with
                     image_2_pseudo/pictures/N.png                   --pictures: what was seen and done
                     labels_pseudo/N.label  N.json                   --lift: labels of points, raw ids
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt16

from elite.config import PseudoLabelConfig, plain
from elite.data import SemanticKITTI
from elite.data.dense import encode_ids, read_dense
from elite.data.fraction import labelled_scans, shown_labels
from elite.data.views import parse_names
from elite.environment import describe
from elite.errors import ConfigError, EliteError, OutputError, first_line
from elite.files import make_folder, write_bytes
from elite.geometry import point_pixel_pairs
from elite.labels import IGNORE, to_raw, to_train
from elite.layout import Layout
from elite.pictures import encode_png
from elite.pseudo_labels.label_image import label_image
from elite.pseudo_labels.lift import lift
from elite.pseudo_labels.pictures import picture
from elite.pseudo_labels.records import DenseLabel, Proposer, Seeds
from elite.pseudo_labels.released import label_image_as_released
from elite.pseudo_labels.seeds import find_seeds
from elite.pseudo_labels.store import Store, digest, whole, write_whole
from elite.pseudo_labels.vote import Regions
from elite.types import Camera, Frame

ALGORITHM = 1  # raised when the same settings give other labels than before
_SETTINGS = ("strategy", "vote", "batch", "skip_purity")  # that the labels of an image depend on


@dataclass
class Summary:
    """What was done: images made, kept from before, without a labelled pixel; frames that failed, and why."""

    made: int = 0
    kept: int = 0
    empty: int = 0
    prompts: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Summary") -> None:
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)

    def to_dict(self) -> dict[str, Any]:
        """Plain values: the counts, and means over the images that were made."""
        made = max(self.made, 1)
        return asdict(self) | {
            "prompts_per_image": self.prompts / made,
            "bytes_per_image": self.bytes / made,
            "seconds_per_image": self.seconds / made,
        }

    def line(self) -> str:
        means = self.to_dict()
        each = f"{means['prompts_per_image']:.1f} prompts, {means['seconds_per_image']:.2f} s, "
        each += f"{means['bytes_per_image'] / 1000:.0f} kB each"
        return (
            f"{self.made} images labelled ({each}), {self.empty} of them without a labelled pixel; {self.kept} were "
            f"there already; {len(self.failures)} failed"
        )


def generate(
    root: Path,
    config: PseudoLabelConfig,
    proposer: Proposer,
    *,
    rank: int = 0,
    world: int = 1,
    progress: Callable[[list[int]], Iterable[int]] = iter,
) -> Summary:
    """Make what is missing, damaged, or made from other data or with other settings, of every world-th frame from
    ``rank`` on. What fails is reported and does not stop the rest.

    Raises:
        DataError: no frames, or none with labels.
        ConfigError: no frame has an image of the cameras, or the folder holds labels that were not made here.
        OutputError: the output cannot be written to.
    """
    frames = open_frames(root, config)
    store = Store(Layout(config.out) if config.out else frames.layout, config.folder)
    make_folder(store.layout.sequences)
    store.refuse_foreign(frames.sequences, frames.cameras)
    chosen = choose(frames, config)
    job = Job(frames, store, config, proposer)
    summary = Summary()
    for i in progress(chosen[rank::world]):
        summary.add(job.run(i))
    return summary


def open_frames(root: Path, config: PseudoLabelConfig) -> SemanticKITTI:
    cameras = tuple(dict.fromkeys(parse_names(config.cameras)))
    return SemanticKITTI(root, config.sequences, frames=config.frames, labels=config.labels, cameras=cameras)


def choose(frames: SemanticKITTI, config: PseudoLabelConfig) -> list[int]:
    """Positions of the frames whose labels are shown and that have an image.

    Raises:
        DataError: no frame has labels.
        ConfigError: none of them has an image.
    """
    shown = labelled_scans(frames, config.label_fraction if config.label_unit == "scans" else 1.0)
    chosen = [i for i in shown if frames.index[i].images]
    if not chosen:
        raise ConfigError(
            f"no labelled scan of {frames.layout.root} has an image in {config.cameras}; give other cameras, or check "
            "the image archive."
        )
    return chosen


class Job:
    """One frame at a time: what is whole stays, the rest is made."""

    def __init__(self, frames: SemanticKITTI, store: Store, config: PseudoLabelConfig, proposer: Proposer) -> None:
        self.frames, self.store, self.config, self.proposer = frames, store, config, proposer
        settings = {"algorithm": ALGORITHM, "proposer": proposer.describe()}
        settings |= {name: value for name, value in plain(config).items() if name in _SETTINGS}
        self.share = config.label_fraction if config.label_unit == "points" else 1.0
        if self.share < 1:
            settings |= {"label_fraction": self.share, "label_unit": "points", "seed": config.seed}
        self.settings = json.loads(json.dumps(settings))  # as it is read again
        self.versions = describe()

    def run(self, i: int) -> Summary:
        """Every image of a frame, and then its lifted labels if none of them failed."""
        entry, summary = self.frames.index[i], Summary()
        for camera in entry.images:
            summary.add(self._guarded(f"{entry.sequence}/{entry.name} {camera}", self._image, i, camera))
        if self.config.lift and not summary.failures:
            summary.add(self._guarded(f"{entry.sequence}/{entry.name} lifted", self._lift, i, entry.images))
        return summary

    def _guarded(self, name: str, step: Callable[[int, Any], Summary], i: int, what: Any) -> Summary:
        """A step whose failure is told and no more, unless nothing can be written at all."""
        try:
            return step(i, what)
        except OutputError:
            raise
        except EliteError as error:
            return Summary(failures=[f"{name}: {' '.join(str(error).split())}"])
        except Exception as error:  # whatever a file or a proposer does, the other images are made
            return Summary(failures=[f"{name}: {type(error).__name__}: {first_line(error)}"])

    def _image(self, i: int, camera: str) -> Summary:
        entry = self.frames.index[i]
        files = self.store.dense(entry.sequence, entry.name, camera)
        record = self.store.dense_record(entry.sequence, entry.name, camera)
        drawn = self.store.picture(entry.sequence, entry.name, camera)
        told = {"settings": self.settings, "source": self._source(i, (camera,))}
        done = not self.config.overwrite and whole(record, files, told)
        if done and (drawn.exists() or not self.config.pictures):
            return Summary(kept=1)
        began = time.monotonic()
        frame = self._frame(i, (camera,))
        dense, seeds, regions = label_frame(frame, frame.cameras[0], self.proposer, self.config)
        maps = {"semantic": to_raw(dense.label), "instance": dense.instance}
        seconds = round(time.monotonic() - began, 3)
        if self.config.pictures:
            write_bytes(drawn, encode_png(picture(frame.images[camera], seeds, regions, dense)))
        about = {"prompts": dense.prompts, "coverage": float((dense.label > 0).mean()), "seconds": seconds}
        encoded = {kind: (files[kind], encode_ids(ids)) for kind, ids in maps.items()}
        size = write_whole(record, encoded, {**told, **about, "versions": self.versions})
        return Summary(made=1, empty=int(not dense.label.any()), prompts=dense.prompts, bytes=size, seconds=seconds)

    def _lift(self, i: int, cameras: tuple[str, ...]) -> Summary:
        entry = self.frames.index[i]
        files, record = (
            self.store.lifted(entry.sequence, entry.name),
            self.store.lifted_record(entry.sequence, entry.name),
        )
        told = {"settings": self.settings, "source": self._source(i, cameras), "cameras": list(cameras)}
        if self.config.overwrite or not whole(record, files, told):
            words = self._lifted(self._frame(i, cameras)).tobytes()
            write_whole(record, {"labels": (files["labels"], words)}, {**told, "versions": self.versions})
        return Summary()

    def _lifted(self, frame: Frame) -> np.ndarray:
        """Label words of all points, from the dense labels that were written."""
        assert frame.labels is not None
        seen = []
        for camera in frame.cameras:
            folder = f"{camera.name}_{self.config.folder}"
            raw, instance = read_dense(self.store.layout, frame.sequence, frame.name, folder)
            pairs = point_pixel_pairs(frame.scan.points, camera, *frame.images[camera.name].shape[:2])
            seen.append((pairs, to_train(raw), instance))
        labels, instance = lift(frame.labels, instances(frame), seen)
        return to_raw(labels).astype(np.uint32) | (instance.astype(np.uint32) << 16)

    def _frame(self, i: int, cameras: tuple[str, ...]) -> Frame:
        """The frame with some of its images and their cameras, and with the labels that may be seen."""
        frame = self.frames.read(i, cameras)
        assert frame.labels is not None
        shown = shown_labels(frame.labels, frame.id, self.share, self.config.seed)
        return replace(frame, labels=shown, cameras=tuple(c for c in frame.cameras if c.name in cameras))

    def _source(self, i: int, cameras: tuple[str, ...]) -> dict[str, str]:
        """Digests of everything that the labels are made from."""
        entry, layout = self.frames.index[i], self.frames.layout
        paths = {"labels": self.frames.label_path(i), "scan": self.frames.scan_path(i)}
        paths |= {"calibration": layout.calibration(entry.sequence)}
        paths |= {c: layout.image(entry.sequence, entry.name, c) for c in cameras}
        return {name: digest(path.read_bytes()) for name, path in paths.items()}


def label_frame(
    frame: Frame, camera: Camera, proposer: Proposer, config: PseudoLabelConfig
) -> tuple[DenseLabel, Seeds, Regions]:
    """Dense labels of one image of a labelled frame, by the configured strategy, and what they were made of.

    Raises:
        DataError: the camera sees no point.
    """
    assert frame.labels is not None
    image = frame.images[camera.name]
    known = frame.scan.points, frame.labels, instances(frame), camera
    if config.strategy == "released":
        return label_image_as_released(image, *known, proposer)
    seeds = find_seeds(*known, (image.shape[0], image.shape[1]))
    dense, regions = label_image(image, seeds, proposer, config)
    return dense, seeds, regions


def instances(frame: Frame) -> UInt16[np.ndarray, "n"]:
    """Instance ids of the points, 0 = none, or no label."""
    assert frame.objects is not None
    assert frame.labels is not None
    return np.where(frame.labels != IGNORE, frame.objects & 0xFFFF, 0).astype(np.uint16)

"""Dense pseudo-labels of a whole data set: shared out over processes, resumable, one frame at a time.

::

    OUT/sequences/SS/image_2_pseudo/semantic/N.png  instance/N.png   16 bit, raw ids, 0 = unknown
                     image_2_pseudo/N.json                           what they were made with; written last
                     image_2_pseudo/pictures/N.png                   --pictures: what was seen and done
                     labels_pseudo/N.label                           --lift: labels of points, raw ids
"""

import hashlib
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
from elite.data.dense import read_dense, write_dense
from elite.data.fraction import labelled_scans, shown_labels
from elite.data.views import parse_names
from elite.environment import describe
from elite.errors import ConfigError, EliteError
from elite.files import make_folder, write_bytes, write_json
from elite.geometry import point_pixel_pairs
from elite.labels import to_raw, to_train
from elite.layout import Layout
from elite.pictures import encode_png
from elite.pseudo_labels.label_image import label_image
from elite.pseudo_labels.lift import lift
from elite.pseudo_labels.pictures import picture
from elite.pseudo_labels.records import DenseLabel, Proposer, Seeds
from elite.pseudo_labels.released import label_image_as_released
from elite.pseudo_labels.seeds import find_seeds
from elite.pseudo_labels.vote import Regions
from elite.types import Camera, Frame

LIFTED = "labels_pseudo"
# What the dense labels of an image depend on, beside the proposer and the labels themselves.
_SETTINGS = ("label_fraction", "label_unit", "seed", "strategy", "vote", "batch", "skip_purity")


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
            f"there already; {len(self.failures)} scans failed"
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
    """Make what is missing, damaged or made with other settings, of every world-th frame from ``rank`` on.

    A frame that fails is reported and does not stop the others.

    Raises:
        DataError: no frames, or none with labels.
        ConfigError: no frame has an image of the cameras.
        OutputError: the output cannot be written to.
    """
    frames = open_frames(root, config)
    out = Layout(config.out) if config.out else frames.layout
    make_folder(out.sequences)
    job = Job(frames, out, config, proposer)
    chosen = [i for i in labelled_scans(frames, _share(config, "scans")) if frames.index[i].images]
    if not chosen:
        raise ConfigError(
            f"no labelled scan of {frames.layout.root} has an image in {config.cameras}; give other cameras, or check "
            "the image archive."
        )
    summary = Summary()
    for i in progress(chosen[rank::world]):
        try:
            summary.add(job.run(i))
        except EliteError as error:
            entry = frames.index[i]
            summary.failures.append(f"{entry.sequence}/{entry.name}: {' '.join(str(error).split())}")
    return summary


def open_frames(root: Path, config: PseudoLabelConfig) -> SemanticKITTI:
    cameras = parse_names(config.cameras)
    return SemanticKITTI(root, config.sequences, frames=config.frames, labels=config.labels, cameras=cameras)


def _share(config: PseudoLabelConfig, unit: str) -> float:
    return config.label_fraction if config.label_unit == unit else 1.0


class Job:
    """One frame at a time: what is whole and of the same settings stays, the rest is made."""

    def __init__(self, frames: SemanticKITTI, out: Layout, config: PseudoLabelConfig, proposer: Proposer) -> None:
        self.frames, self.out, self.config, self.proposer = frames, out, config, proposer
        settings = {name: value for name, value in plain(config).items() if name in _SETTINGS}
        self.settings = json.loads(json.dumps({"proposer": proposer.describe(), **settings}))  # as it is read again
        self.versions = describe()

    def run(self, i: int) -> Summary:
        entry = self.frames.index[i]
        source = {"labels": digest(self.frames.label_path(i).read_bytes())}
        stale = [
            c for c in entry.images if self.config.overwrite or not self._whole(entry.sequence, entry.name, c, source)
        ]
        summary = Summary(kept=len(entry.images) - len(stale))
        lifted = self.out.labels(entry.sequence, entry.name, LIFTED)
        if not stale and (lifted.exists() or not self.config.lift):
            return summary
        if stale and not self.config.lift:
            lifted.unlink(missing_ok=True)  # it was made from what is now made again
        frame = self.frames[i]
        assert frame.labels is not None
        frame = replace(
            frame, labels=shown_labels(frame.labels, frame.id, _share(self.config, "points"), self.config.seed)
        )
        for camera in frame.cameras:
            if camera.name in stale:
                summary.add(self._make(frame, camera, source))
        if self.config.lift:
            write_bytes(lifted, self._lifted(frame).tobytes())
        return summary

    def _make(self, frame: Frame, camera: Camera, source: dict[str, str]) -> Summary:
        began = time.monotonic()
        dense, seeds, regions = label_frame(frame, camera, self.proposer, self.config)
        folder = self._folder(camera.name)
        write_dense(self.out, frame.sequence, frame.name, folder, semantic=to_raw(dense.label), instance=dense.instance)
        files = self._digests(frame.sequence, frame.name, folder)
        seconds = time.monotonic() - began
        if self.config.pictures:
            drawn = picture(frame.images[camera.name], seeds, regions, dense)
            write_bytes(self.out.dense_labels(frame.sequence, frame.name, folder, "pictures"), encode_png(drawn))
        record = {
            "settings": self.settings,
            "source": source,
            "files": {kind: d for kind, (d, _) in files.items()},
            "prompts": dense.prompts,
            "coverage": float((dense.label > 0).mean()),
            "seconds": round(seconds, 3),
            "versions": self.versions,
        }
        write_json(self.out.dense_record(frame.sequence, frame.name, folder), record)
        size = sum(n for _, n in files.values())
        return Summary(made=1, empty=int(not dense.label.any()), prompts=dense.prompts, bytes=size, seconds=seconds)

    def _lifted(self, frame: Frame) -> np.ndarray:
        """Label words of all points, from the dense labels that were written."""
        assert frame.labels is not None
        seen = []
        for camera in frame.cameras:
            if camera.name in frame.images:
                raw, instance = read_dense(self.out, frame.sequence, frame.name, self._folder(camera.name))
                size = frame.images[camera.name].shape[:2]
                seen.append((point_pixel_pairs(frame.scan.points, camera, *size), to_train(raw), instance))
        labels, instance = lift(frame.labels, instances(frame), seen)
        return to_raw(labels).astype(np.uint32) | (instance.astype(np.uint32) << 16)

    def _folder(self, camera: str) -> str:
        return f"{camera}_{self.config.folder}"

    def _whole(self, sequence: str, name: str, camera: str, source: dict[str, str]) -> bool:
        """Whether the files are there, undamaged, and made from the same labels with the same settings."""
        folder = self._folder(camera)
        try:
            record = json.loads(self.out.dense_record(sequence, name, folder).read_text())
            files = {kind: digest for kind, (digest, _) in self._digests(sequence, name, folder).items()}
        except (OSError, ValueError):
            return False
        expected = {"settings": self.settings, "source": source, "files": files}
        return isinstance(record, dict) and {key: record.get(key) for key in expected} == expected

    def _digests(self, sequence: str, name: str, folder: str) -> dict[str, tuple[str, int]]:
        paths = {kind: self.out.dense_labels(sequence, name, folder, kind) for kind in ("semantic", "instance")}
        return {kind: (digest(data := path.read_bytes()), len(data)) for kind, path in paths.items()}


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
    """Instance ids of the points, 0 = none."""
    assert frame.objects is not None
    return (frame.objects & 0xFFFF).astype(np.uint16)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]

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
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from elite.config import PseudoLabelConfig, plain
from elite.data.label_budget import labelled_scans, usable_labels
from elite.datasets import SemanticKITTI
from elite.datasets.dense_labels import encode_ids, read_dense
from elite.environment import describe
from elite.errors import ConfigError, EliteError, OutputError, first_line
from elite.files import make_folder, write_bytes
from elite.geometry import point_pixel_pairs
from elite.labels import to_raw, to_train
from elite.layout import Layout, open_layout, parse_names
from elite.pictures import encode_png
from elite.pseudo_labels.label_image import label_view
from elite.pseudo_labels.lift import lift
from elite.pseudo_labels.records import LabelledView, Proposer, Sum, view_of
from elite.pseudo_labels.store import Output, Store, file_digest
from elite.terminal import notice

ALGORITHM = 1  # raised when the same settings give other labels than before
LIFTING = 2  # the same, of lifted labels
_SETTINGS = ("strategy", "vote", "batch", "skip_purity")  # that the labels of an image depend on
Digest = Callable[[Path], str]


@dataclass(frozen=True)
class Summary(Sum):
    """What was done: images made, kept from before, without a labelled pixel; frames that failed, and why."""

    made: int = 0
    kept: int = 0
    empty: int = 0
    prompts: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

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
    chosen = choose(frames, config.label_fraction if config.label_unit == "scans" else 1.0)
    if rank == 0:
        _report_unused(frames, chosen)
    job = Job(frames, store, config, proposer)
    return sum((job.run(i) for i in progress(chosen[rank::world])), Summary())


def _report_unused(frames: SemanticKITTI, chosen: list[int]) -> None:
    """Scans that are selected and get no dense labels, and files that are not read."""
    images = sum(bool(frames.image_cameras(i)) for i in frames.labelled())
    for count, why in (
        (len(frames) - len(frames.labelled()), f"have no labels in '{frames.selection.labels}'"),
        (len(frames.labelled()) - images, f"have labels and no image in {', '.join(frames.cameras)}"),
        (images - len(chosen), "hide their labels (label_fraction)"),
    ):
        if count:
            notice(f"{count} of {len(frames)} scans {why} and get no pseudo-labels.")
    for line in frames.unused:
        notice(line)


def training_options(root: Path, config: PseudoLabelConfig) -> str | None:
    """The options that training needs to find what is written; None if it is written into the data set itself."""
    if config.out is None or config.out.resolve() == open_layout(root).root.resolve():
        return None
    folders = ",".join(f"{camera}_{config.folder}" for camera in parse_names(config.cameras))
    lifted = f" (or --data.labels labels_{config.folder})" if config.lift else ""
    return f"--data.derived {config.out} --data.dense-labels {folders}{lifted}"


def open_frames(root: Path, config: PseudoLabelConfig) -> SemanticKITTI:
    cameras = tuple(dict.fromkeys(parse_names(config.cameras)))
    return SemanticKITTI(root, config.sequences, frames=config.frames, labels=config.labels, cameras=cameras)


def choose(frames: SemanticKITTI, fraction: float) -> list[int]:
    """Positions of a fraction of the labelled scans, those of them that have an image.

    Raises:
        DataError: no frame has labels.
        ConfigError: none of them has an image.
    """
    chosen = [i for i in labelled_scans(frames, fraction) if frames.image_cameras(i)]
    if not chosen:
        raise ConfigError(
            f"no labelled scan of {frames.layout.root} has an image in {','.join(frames.cameras) or 'none'}; give "
            "other cameras, or check the image archive."
        )
    return chosen


class Job:
    """One frame at a time: what is whole stays, the rest is made."""

    def __init__(self, frames: SemanticKITTI, store: Store, config: PseudoLabelConfig, proposer: Proposer) -> None:
        self.share = config.label_fraction if config.label_unit == "points" else 1.0
        self.frames, self.store, self.proposer = frames, store, proposer
        self.config = config = replace(config, vote=config.vote.of_share(self.share))
        settings = {"algorithm": ALGORITHM, "proposer": proposer.describe()}
        settings |= {name: value for name, value in plain(config).items() if name in _SETTINGS}
        if self.share < 1:
            settings |= {"label_fraction": self.share, "label_unit": "points", "seed": config.seed}
        if config.labels != "labels":
            settings["labels"] = config.labels  # training asks: these tell no more than the labels that it shows
        self.settings = json.loads(json.dumps(settings))  # as it is read again
        self.versions = describe()
        self.draw = _load_drawing() if config.pictures else None

    def run(self, i: int) -> Summary:
        """Every image of a frame, and then its lifted labels if none of them failed."""
        frame_id, summary = self.frames.ids[i], Summary()
        digest = cache(file_digest)  # of this frame's files: each is read once, whatever is made from it
        for camera in self.frames.image_cameras(i):
            summary += _guarded(f"{frame_id} {camera}", partial(self._image, i, camera, digest))
        if self.config.lift and not summary.failures:
            summary += _guarded(f"{frame_id} lifted", partial(self._lift, i, self.frames.image_cameras(i), digest))
        return summary

    def _image(self, i: int, camera: str, digest: Digest) -> Summary:
        """The dense labels of one image."""
        output = self.store.dense(*self.frames.ids[i], camera)
        drawn = self.store.picture(*self.frames.ids[i], camera)
        told = {"settings": self.settings, "source": self._source(i, (camera,), digest)}
        if self._done(output, told) and (drawn.exists() or not self.config.pictures):
            return Summary(kept=1)
        began = time.monotonic()
        (view,) = self._views(i, (camera,))
        dense, seeds, regions = label_view(view, self.proposer, self.config)
        semantic = to_raw(dense.label)
        seconds = round(time.monotonic() - began, 3)
        if self.draw is not None:
            write_bytes(drawn, encode_png(self.draw(view.image, seeds, regions, dense)).data)
        about = {"prompts": dense.prompts, "coverage": float((dense.label > 0).mean()), "seconds": seconds}
        contents = {"semantic": encode_ids(semantic), "instance": encode_ids(dense.instance)}
        size = output.write(contents, {**told, **about, "versions": self.versions})
        return Summary(made=1, empty=int(not dense.label.any()), prompts=dense.prompts, bytes=size, seconds=seconds)

    def _lift(self, i: int, cameras: tuple[str, ...], digest: Digest) -> Summary:
        """Labels of the points, from the dense labels of all images."""
        output = self.store.lifted(*self.frames.ids[i])
        told = {"settings": self.settings, "source": self._source(i, cameras, digest), "cameras": list(cameras)}
        told |= {"lifting": LIFTING}
        if not self._done(output, told):
            output.write({"labels": self._lifted(i, cameras)}, {**told, "versions": self.versions})
        return Summary()

    def _lifted(self, i: int, cameras: tuple[str, ...]) -> bytes:
        """Label words of all points, from the dense labels that were written."""
        views = self._views(i, cameras)
        seen = []
        for view in views:
            folder = f"{view.camera.name}_{self.config.folder}"
            raw, instance = read_dense(self.store.layout, *self.frames.ids[i], folder)
            seen.append((point_pixel_pairs(view.points, view.camera, *view.size), to_train(raw), instance))
        labels, instance = lift(views[0].points, views[0].labels, views[0].instance, seen)
        return (to_raw(labels).astype(np.uint32) | (instance.astype(np.uint32) << 16)).tobytes()

    def _done(self, output: Output, told: dict[str, Any]) -> bool:
        return not self.config.overwrite and output.whole(told)

    def _views(self, i: int, cameras: tuple[str, ...]) -> list[LabelledView]:
        """What some of its cameras see of a frame, with the labels that may be seen."""
        frame = self.frames.frame(i, cameras)
        assert frame.labels is not None
        frame = replace(frame, labels=usable_labels(frame.labels, frame.id, self.share, self.config.seed))
        return [view_of(frame, camera) for camera in frame.cameras if camera.name in cameras]

    def _source(self, i: int, cameras: tuple[str, ...], digest: Digest) -> dict[str, str]:
        """Digests of everything that the labels are made from."""
        frame_id, layout = self.frames.ids[i], self.frames.layout
        paths = {"labels": self.frames.label_path(i), "scan": self.frames.scan_path(i)}
        paths |= {"calibration": layout.calibration(frame_id.sequence)}
        paths |= {c: layout.image(*frame_id, c) for c in cameras}
        return {name: digest(path) for name, path in paths.items()}


def _load_drawing() -> Callable[..., Any]:
    """Import what --pictures needs.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from elite.pseudo_labels.pictures import picture

    return picture


def _guarded(name: str, step: Callable[[], Summary]) -> Summary:
    """A step whose failure is told and no more, unless nothing can be written at all."""
    try:
        return step()
    except OutputError:
        raise
    except EliteError as error:
        return Summary(failures=[f"{name}: {' '.join(str(error).split())}"])
    except Exception as error:  # whatever a file or a proposer does, the other images are made
        return Summary(failures=[f"{name}: {type(error).__name__}: {first_line(error)}"])

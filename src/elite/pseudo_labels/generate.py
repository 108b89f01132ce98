"""Dense pseudo-labels of a data set: distributed over processes, resumable, one image at a time.

::

    OUT/sequences/SS/image_2_pseudo/semantic/N.png  instance/N.png   16 bit, raw ids, 0 = unknown
                     image_2_pseudo/N.json                           provenance: sources and settings
                     image_2_pseudo/pictures/N.png                   --pictures: seeds, regions and result
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

from elite.config import PseudoLabelConfig, StudentConfig, plain
from elite.data.label_budget import labelled_scans, usable_labels
from elite.datasets import Dataset, open_dataset, resolved_cameras
from elite.datasets.dense_labels import encode_ids, read_dense
from elite.datasets.input_guard import InputGuard, examine_scans
from elite.environment import describe
from elite.errors import ConfigError, EliteError, OutputError, first_line
from elite.files import make_folder, write_bytes
from elite.label_records import identity
from elite.layout import Layout, parse_names
from elite.occlusion import point_pixel_pairs
from elite.pictures import encode_png
from elite.pseudo_labels.label_image import label_view
from elite.pseudo_labels.lift import lift
from elite.pseudo_labels.records import Addable, LabelledView, Proposer, view_of
from elite.pseudo_labels.store import Output, Store, camera_digest, file_digest
from elite.taxonomy import IGNORE
from elite.terminal import notice

ALGORITHM = 1  # version of the procedure; increased when equal settings give different labels
LIFTING = 2  # version of the lifted labels
_SETTINGS = ("strategy", "vote", "batch", "skip_purity")  # settings that the labels depend on
Digest = Callable[[Path], str]


@dataclass(frozen=True)
class Summary(Addable):
    """Counts of a run.

    Attributes:
        made: images labelled by this run.
        kept: images that were complete before.
        empty: images of ``made`` without a labelled pixel.
        failures: error message of each image or scan that failed.
    """

    made: int = 0
    kept: int = 0
    empty: int = 0
    prompts: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: the counts, and means over the images labelled by this run."""
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
            f"{self.made} images labelled ({each}), {self.empty} of them without a labelled pixel; "
            f"{self.kept} skipped, because they are complete; {len(self.failures)} failed"
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
    """Generate pseudo-labels that are missing, damaged, or have other sources or settings.

    A failed image is reported and does not stop the others.

    Args:
        root: data set.
        config: settings.
        proposer: source of the regions.
        rank, world: this process handles every ``world``-th frame, starting at ``rank``.
        progress: wraps the iteration over the frames.

    Raises:
        DataError: no frames, or none with labels; or doubtful scans, and ``config.strict`` is set.
        ConfigError: no frame has an image of the cameras, or the output folder contains labels of another origin.
        MissingExtraError: ``config.pictures`` without matplotlib.
        OutputError: the output cannot be written.
    """
    frames = open_frames(root, config)
    store = Store(Layout(config.out) if config.out else frames.layout, config.folder)
    make_folder(store.layout.sequences)
    store.refuse_foreign(frames.sequences, frames.cameras)
    chosen = choose(frames, config.label_fraction if config.label_unit == "scans" else 1.0)
    if rank == 0:
        _report_unused(frames, chosen)
        examine_inputs(frames, chosen, config)
    labeller = FrameLabeller(frames, store, config, proposer)
    return sum((labeller.run(i) for i in progress(chosen[rank::world])), Summary())


def _report_unused(frames: Dataset, chosen: list[int]) -> None:
    """Report selected scans without pseudo-labels, and files that are not read."""
    images = sum(bool(frames.image_cameras(i)) for i in frames.labelled())
    for count, why in (
        (len(frames) - len(frames.labelled()), f"have no labels in '{frames.selection.labels}'"),
        (len(frames.labelled()) - images, f"have labels and no image in {', '.join(frames.cameras)}"),
        (images - len(chosen), "are outside the label budget (--label-fraction)"),
    ):
        if count:
            notice(f"{count} of {len(frames)} scans {why} and get no pseudo-labels.")
    for line in frames.unused:
        notice(line)


def training_options(root: Path, config: PseudoLabelConfig) -> str | None:
    """Return the options with which training finds the output; None if the output is inside the data set."""
    if config.out is None or config.out.resolve() == open_frames(root, config).layout.root.resolve():
        return None
    folders = ",".join(f"{camera}_{config.folder}" for camera in _cameras(root, config))
    lifted = f" (or --data.labels labels_{config.folder})" if config.lift else ""
    return f"--data.derived {config.out} --data.dense-labels {folders}{lifted}"


def open_frames(root: Path, config: PseudoLabelConfig) -> Dataset:
    return open_dataset(
        root,
        config.format,
        taxonomy=config.taxonomy,
        sensor=config.sensor,
        sequences=config.sequences,
        frames=config.frames,
        labels=config.labels,
        cameras=_cameras(root, config),
    )


def _cameras(root: Path, config: PseudoLabelConfig) -> tuple[str, ...]:
    return tuple(dict.fromkeys(parse_names(resolved_cameras(config.cameras, root, config.format))))


def choose(frames: Dataset, fraction: float) -> list[int]:
    """Return the positions of a fraction of the labelled scans, without those that have no image.

    Raises:
        DataError: no frame has labels.
        ConfigError: no labelled frame has an image.
    """
    chosen = [i for i in labelled_scans(frames, fraction) if frames.image_cameras(i)]
    if not chosen:
        raise ConfigError(
            f"--cameras: expected images of labelled scans of {frames.layout.root} in "
            f"{','.join(frames.cameras) or 'none'}, found none. Give other cameras, or extract the image archive."
        )
    return chosen


def examine_inputs(frames: Dataset, chosen: list[int], config: PseudoLabelConfig) -> None:
    """Report scans that probably do not match the input of a student that is trained with these labels.

    Raises:
        DataError: a scan is doubtful, and ``config.strict`` is set.
    """
    guard = InputGuard(StudentConfig().volume, notice, strict=config.strict, sensor=frames.sensor)
    examine_scans(frames, chosen, guard)


class FrameLabeller:
    """Labels one frame at a time and skips complete outputs."""

    def __init__(self, frames: Dataset, store: Store, config: PseudoLabelConfig, proposer: Proposer) -> None:
        self.share = config.label_fraction if config.label_unit == "points" else 1.0
        self.frames, self.store, self.proposer = frames, store, proposer
        self.config = config = replace(config, vote=config.vote.of_share(self.share))
        settings = {"algorithm": ALGORITHM, "proposer": proposer.describe()}
        settings |= {name: value for name, value in plain(config).items() if name in _SETTINGS}
        if self.share < 1:
            settings |= {"label_fraction": self.share, "label_unit": "points", "seed": config.seed}
        if config.labels != "labels":
            settings["labels"] = config.labels  # training checks that these contain no more labels than its own
        if frames.beams is not None:  # without them, the patches of the occlusion test are those of version 0.1
            settings["beams"] = plain(frames.beams)
        if classes := identity(frames.taxonomy):
            settings["taxonomy"] = classes
        if frames.sensor.reading:
            settings["sensor"] = frames.sensor.reading
        self.settings = json.loads(json.dumps(settings))  # as in the record after it is read
        self.versions = describe()
        self.draw = _load_drawing() if config.pictures else None

    def run(self, i: int) -> Summary:
        """Label every image of a frame, and then lift the labels to points if no image failed."""
        frame_id, summary = self.frames.ids[i], Summary()
        digest = cache(file_digest)  # reads each file of this frame once
        for camera in self.frames.image_cameras(i):
            summary += _guarded(f"{frame_id} {camera}", partial(self._image, i, camera, digest))
        if self.config.lift and not summary.failures:
            summary += _guarded(f"{frame_id} lifted", partial(self._lift, i, self.frames.image_cameras(i), digest))
        return summary

    def _image(self, i: int, camera: str, digest: Digest) -> Summary:
        """Write the dense labels of one image."""
        output = self.store.dense(*self.frames.ids[i], camera)
        picture = self.store.picture(*self.frames.ids[i], camera)
        provenance = {"settings": self.settings, "source": self._source(i, (camera,), digest)}
        if self._done(output, provenance) and (picture.exists() or not self.config.pictures):
            return Summary(kept=1)
        began = time.monotonic()
        (view,) = self._views(i, (camera,))
        dense, seeds, regions = label_view(view, self.proposer, self.config)
        semantic = self.frames.taxonomy.to_raw(dense.label)
        seconds = round(time.monotonic() - began, 3)
        if self.draw is not None:
            drawn = self.draw(view.image, seeds, regions, dense, self.frames.taxonomy)
            write_bytes(picture, encode_png(drawn).data)
        about = {"prompts": dense.prompts, "coverage": float((dense.label > 0).mean()), "seconds": seconds}
        contents = {"semantic": encode_ids(semantic), "instance": encode_ids(dense.instance)}
        size = output.write(contents, {**provenance, **about, "versions": self.versions})
        return Summary(made=1, empty=int(not dense.label.any()), prompts=dense.prompts, bytes=size, seconds=seconds)

    def _lift(self, i: int, cameras: tuple[str, ...], digest: Digest) -> Summary:
        """Write labels of the points from the dense labels of all images."""
        output = self.store.lifted(*self.frames.ids[i])
        provenance = {"settings": self.settings, "source": self._source(i, cameras, digest), "cameras": list(cameras)}
        provenance |= {"lifting": LIFTING}
        if not self._done(output, provenance):
            output.write({"labels": self._lifted(i, cameras)}, {**provenance, "versions": self.versions})
        return Summary()

    def _lifted(self, i: int, cameras: tuple[str, ...]) -> bytes:
        """Label words of all points of the file from the written dense labels."""
        views = self._views(i, cameras)
        labelled = []
        for view in views:
            folder = f"{view.camera.name}_{self.config.folder}"
            raw, instance = read_dense(self.store.layout, *self.frames.ids[i], folder)
            pairs = point_pixel_pairs(view.points, view.camera, *view.size, view.beams)
            labelled.append((pairs, self.frames.taxonomy.to_train(raw), instance))
        labels, instance = lift(views[0].points, views[0].labels, views[0].instance, labelled)
        scan = self.frames.scan(i)
        raw = self.frames.taxonomy.to_raw(scan.spread(labels, IGNORE)).astype(np.uint32)
        return (raw | (scan.spread(instance).astype(np.uint32) << 16)).tobytes()

    def _done(self, output: Output, provenance: dict[str, Any]) -> bool:
        return not self.config.overwrite and output.is_complete(provenance)

    def _views(self, i: int, cameras: tuple[str, ...]) -> list[LabelledView]:
        """Views of some cameras of a frame, with the labels of the label budget."""
        frame = self.frames.frame(i, cameras)
        assert frame.labels is not None
        frame = replace(frame, labels=usable_labels(frame.labels, frame.id, self.share, self.config.seed))
        return [view_of(frame, camera) for camera in frame.cameras if camera.name in cameras]

    def _source(self, i: int, cameras: tuple[str, ...], digest: Digest) -> dict[str, str]:
        """Digests of all sources of the labels: files, and projections that have no file of their own."""
        frames, calibration = self.frames, self.frames.calibration_path(i)
        images = {image.camera: image.path for image in frames.images(i)}
        paths = {"labels": frames.label_path(i), "scan": frames.scan_path(i)}
        paths |= {camera: images[camera] for camera in cameras}
        if calibration is not None:
            return {name: digest(path) for name, path in (paths | {"calibration": calibration}).items()}
        used = [camera for camera in frames.frame_cameras(i) if camera.name in cameras]
        return {name: digest(path) for name, path in paths.items()} | {"calibration": camera_digest(used)}


def _load_drawing() -> Callable[..., Any]:
    """Import what --pictures needs.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from elite.pseudo_labels.pictures import picture

    return picture


def _guarded(name: str, step: Callable[[], Summary]) -> Summary:
    """Run a step and turn its failure into an entry of the summary, unless the output cannot be written."""
    try:
        return step()
    except OutputError:
        raise
    except EliteError as error:
        return Summary(failures=[f"{name}: {' '.join(str(error).split())}"])
    except Exception as error:  # of a file or a proposer: the other images are still labelled
        return Summary(failures=[f"{name}: {type(error).__name__}: {first_line(error)}"])

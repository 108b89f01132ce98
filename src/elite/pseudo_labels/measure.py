"""How good the pseudo-labels of a data set would be: at points that the generator does not get to see, and against
dense truth where there is one. Ours, the released procedure and the nearest labelled pixel on the same images.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool

from elite.config import PseudoLabelConfig
from elite.data.dense import read_dense
from elite.data.fraction import labelled_scans
from elite.errors import DataError
from elite.labels import to_train
from elite.pseudo_labels.generate import instances, label_frame, open_frames
from elite.pseudo_labels.holdout import Holdout, hidden, hidden_pixels
from elite.pseudo_labels.records import DenseLabel, Proposer
from elite.pseudo_labels.score import Agreement, Borders, Objects, at_coverage, nearest_labelled
from elite.pseudo_labels.seeds import find_seeds
from elite.types import Camera, Frame, Scan

DENSE = "dense"
STRATEGIES: tuple[Literal["segments", "released"], ...] = ("segments", "released")


@dataclass
class Tally:
    """What one method did on all images of one test."""

    agreement: Agreement
    borders: Borders
    objects: Objects
    images: int = 0
    prompts: int = 0
    seconds: float = 0.0

    def to_dict(self, *, dense: bool) -> dict[str, Any]:
        shown = self.agreement.to_dict()
        if dense:
            shown |= self.borders.to_dict() | self.objects.to_dict()
        per_image = {"prompts_per_image": self.prompts / self.images, "seconds_per_image": self.seconds / self.images}
        return shown | per_image


Tallies = dict[str, dict[str, Tally]]


def measure(
    root: Path,
    config: PseudoLabelConfig,
    proposer: Proposer,
    holdouts: Sequence[Holdout],
    *,
    progress: Callable[[list[int]], Iterable[int]] = iter,
) -> dict[str, Any]:
    """Scores by test (``rings:2``, ..., ``dense``) and method.

    Methods: segments, released, nearest (the nearest labelled pixel, everywhere), and nearest_at_segments,
    nearest_at_released, segments_at_released: one where the other has a label, so that accuracies compare. The dense
    test is made for frames with true dense labels (image_2_labels) and gives all labels to the methods.

    Raises:
        DataError: no frame with labels and an image, or a damaged file.
    """
    frames = open_frames(root, config)
    chosen = [i for i in labelled_scans(frames, 1.0) if frames.index[i].images]
    if not chosen:
        raise DataError(
            f"no labelled scan of {frames.layout.root} has an image in {config.cameras}; give other cameras."
        )
    tallies: Tallies = defaultdict(dict)
    images = 0
    for i in progress(chosen):
        frame = frames[i]
        for camera in (c for c in frame.cameras if c.name in frame.images):
            images += 1
            for rule in holdouts:
                rng = np.random.default_rng((config.seed, *frame.id.encode()))
                _score_holdout(
                    tallies[str(rule)], frame, camera, hidden(frame.scan.points, rule, rng), proposer, config
                )
            folder = f"{camera.name}_labels"
            if frames.layout.dense_labels(frame.sequence, frame.name, folder, "semantic").exists():
                raw, instance = read_dense(frames.layout, frame.sequence, frame.name, folder)
                _score_dense(tallies[DENSE], frame, camera, to_train(raw), instance, proposer, config)
    return {
        "frames": len(chosen),
        "images": images,
        "proposer": proposer.describe(),
        "tests": {
            test: {method: tally.to_dict(dense=test == DENSE) for method, tally in methods.items()}
            for test, methods in tallies.items()
        },
    }


def _score_holdout(
    tallies: dict[str, Tally],
    frame: Frame,
    camera: Camera,
    hide: Bool[np.ndarray, "n"],
    proposer: Proposer,
    config: PseudoLabelConfig,
) -> None:
    """The generator gets the scan without the hidden points, which then judge its labels at their pixels."""
    assert frame.labels is not None
    size = frame.images[camera.name].shape[:2]
    pixel, truth = hidden_pixels(frame.scan.points, frame.labels, hide, camera, size)
    row, column = pixel.T
    for method, dense, seconds in _answers(without(frame, hide), camera, proposer, config):
        _add(tallies, method, dense, seconds, Agreement.of(dense.label[row, column], truth))


def _score_dense(
    tallies: dict[str, Tally],
    frame: Frame,
    camera: Camera,
    truth: np.ndarray,
    instance: np.ndarray,
    proposer: Proposer,
    config: PseudoLabelConfig,
) -> None:
    for method, dense, seconds in _answers(frame, camera, proposer, config):
        borders = Borders.of(dense.label, truth)
        objects = Objects.of(dense.label, dense.instance, truth, instance)
        _add(tallies, method, dense, seconds, Agreement.of(dense.label, truth), borders, objects)


def _answers(
    frame: Frame, camera: Camera, proposer: Proposer, config: PseudoLabelConfig
) -> Iterable[tuple[str, DenseLabel, float]]:
    """(method, its labels, seconds it took) of every method."""
    assert frame.labels is not None
    size = frame.images[camera.name].shape[:2]
    began = time.monotonic()
    nearest = nearest_labelled(find_seeds(frame.scan.points, frame.labels, instances(frame), camera, size))
    yield "nearest", nearest, time.monotonic() - began
    made = {}
    for strategy in STRATEGIES:
        began = time.monotonic()
        made[strategy], _, _ = label_frame(frame, camera, proposer, replace(config, strategy=strategy))
        yield strategy, made[strategy], time.monotonic() - began
        yield f"nearest_at_{strategy}", at_coverage(nearest, made[strategy]), 0.0
    yield "segments_at_released", at_coverage(made["segments"], made["released"]), 0.0


def _add(
    tallies: dict[str, Tally],
    method: str,
    dense: DenseLabel,
    seconds: float,
    agreement: Agreement,
    borders: Borders | None = None,
    objects: Objects | None = None,
) -> None:
    tally = tallies.setdefault(method, Tally(Agreement(), Borders(), Objects()))
    tally.agreement += agreement
    tally.borders += borders or Borders()
    tally.objects += objects or Objects()
    tally.images += 1
    tally.prompts += dense.prompts
    tally.seconds += seconds


def without(frame: Frame, hide: Bool[np.ndarray, "n"]) -> Frame:
    """The frame as if some of its points had never been measured."""
    assert frame.labels is not None
    assert frame.objects is not None
    scan = Scan(frame.scan.points[~hide], frame.scan.remission[~hide])
    return replace(frame, scan=scan, labels=frame.labels[~hide], objects=frame.objects[~hide])

"""Score pseudo-labels on held-out points, and on dense ground truth where it exists.

Compares elite's procedure, the released procedure and the nearest labelled pixel on the same images.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from elite.config import PseudoLabelConfig
from elite.datasets import Dataset
from elite.datasets.dense_labels import read_dense_files
from elite.pseudo_labels.generate import choose, examine_inputs, open_frames
from elite.pseudo_labels.holdout import Holdout, hidden_pixels, hidden_points
from elite.pseudo_labels.label_image import label_view
from elite.pseudo_labels.records import Addable, DenseLabel, LabelledView, Proposer, view_of
from elite.pseudo_labels.rings import rings_of
from elite.pseudo_labels.score import Agreement, Borders, Objects, at_coverage, nearest_labelled
from elite.pseudo_labels.seeds import find_seeds
from elite.shapes import Bool, Float32, Int64
from elite.taxonomy import Taxonomy

DENSE = "dense"
STRATEGIES: tuple[Literal["segments", "released"], ...] = ("segments", "released")


@dataclass(frozen=True)
class MethodTally(Addable):
    """Counts of one method over all images of one test."""

    agreement: Agreement = field(default_factory=Agreement)
    borders: Borders = field(default_factory=Borders)
    objects: Objects = field(default_factory=Objects)
    images: int = 0
    prompts: int = 0
    seconds: float = 0.0

    def to_dict(self, taxonomy: Taxonomy, *, dense: bool) -> dict[str, Any]:
        scores = self.agreement.to_dict(taxonomy)
        if dense:
            scores |= self.borders.to_dict() | self.objects.to_dict(taxonomy)
        per_image = {"prompts_per_image": self.prompts / self.images, "seconds_per_image": self.seconds / self.images}
        return scores | per_image


MethodTallies = dict[str, MethodTally]  # by method


def measure(
    root: Path,
    config: PseudoLabelConfig,
    proposer: Proposer,
    holdouts: Sequence[Holdout],
    *,
    progress: Callable[[list[int]], Iterable[int]] = iter,
) -> dict[str, Any]:
    """Return scores by test (``rings:2``, ..., ``dense``) and method.

    Methods: segments (elite), released, nearest (nearest labelled pixel). A method A_at_B is A on the pixels that B
    labels, for a comparison at equal coverage. The dense test needs dense ground truth (image_2_labels); its methods
    receive all labels of the points.

    Raises:
        DataError: no frame has labels, or a file is damaged; or doubtful scans, and ``config.strict`` is set.
        ConfigError: no labelled frame has an image of the cameras, or the rings of a scan are unknown.
    """
    frames = open_frames(root, config)
    chosen = choose(frames, 1.0)
    examine_inputs(frames, chosen, config)
    tallies: dict[str, MethodTallies] = defaultdict(lambda: defaultdict(MethodTally))
    images = 0
    for i in progress(chosen):
        frame = frames[i]
        ring = _rings(frames, i, frame.scan.points, holdouts)
        for camera in (c for c in frame.cameras if c.name in frame.images):
            images += 1
            view = view_of(frame, camera)
            test = _Test(view, proposer, config, frames.taxonomy)
            for rule in holdouts:
                rng = np.random.default_rng((config.seed, *frame.id.encode()))
                test.score_holdout(tallies[str(rule)], hidden_points(ring, rule, rng))
            files = frames.derived(i, "labels", camera.name)
            if files.semantic.exists():
                raw, instance = read_dense_files(files)
                truth = DenseLabel(frames.taxonomy.to_train(raw, source=files.semantic), instance, 0)
                test.score_dense(tallies[DENSE], truth)
    return {
        "frames": len(chosen),
        "images": images,
        "proposer": proposer.describe(),
        "tests": {
            test: {method: tally.to_dict(frames.taxonomy, dense=test == DENSE) for method, tally in methods.items()}
            for test, methods in tallies.items()
        },
    }


def _rings(
    frames: Dataset, i: int, points: Float32[np.ndarray, "n 3"], holdouts: Sequence[Holdout]
) -> Int64[np.ndarray, "n"]:
    """Ring of each point of a frame; zeros if no rule depends on rings."""
    wanted = any(rule.kind == "rings" for rule in holdouts)
    return rings_of(frames, i, points) if wanted else np.zeros(len(points), np.int64)


@dataclass(frozen=True)
class _Test:
    """The methods on one image."""

    view: LabelledView
    proposer: Proposer
    config: PseudoLabelConfig
    taxonomy: Taxonomy

    def score_holdout(self, tallies: MethodTallies, hide: Bool[np.ndarray, "n"]) -> None:
        """Label the image without the hidden points, and score the labels at their pixels."""
        pixel, ground_truth = hidden_pixels(self.view, hide)
        row, column = pixel.T
        for method, made, seconds in _label_by_each_method(self.view.without(hide), self.proposer, self.config):
            agreement = Agreement.of(made.label[row, column], ground_truth, self.taxonomy)
            tallies[method] += MethodTally(agreement, images=1, prompts=made.prompts, seconds=seconds)

    def score_dense(self, tallies: MethodTallies, truth: DenseLabel) -> None:
        """Label the image with all points, and score every pixel."""
        for method, made, seconds in _label_by_each_method(self.view, self.proposer, self.config):
            agreement = Agreement.of(made.label, truth.label, self.taxonomy)
            borders = Borders.of(made.label, truth.label)
            objects = Objects.of(made.label, made.instance, truth.label, truth.instance, self.taxonomy)
            tallies[method] += MethodTally(agreement, borders, objects, 1, made.prompts, seconds)


def _label_by_each_method(
    view: LabelledView, proposer: Proposer, config: PseudoLabelConfig
) -> Iterable[tuple[str, DenseLabel, float]]:
    """Yield (method, dense label, seconds) of every method."""
    began = time.monotonic()
    nearest = nearest_labelled(find_seeds(view))
    yield "nearest", nearest, time.monotonic() - began
    made = {}
    for strategy in STRATEGIES:
        began = time.monotonic()
        made[strategy], _, _ = label_view(view, proposer, replace(config, strategy=strategy))
        yield strategy, made[strategy], time.monotonic() - began
        yield f"nearest_at_{strategy}", at_coverage(nearest, made[strategy]), 0.0
    yield "segments_at_released", at_coverage(made["segments"], made["released"]), 0.0

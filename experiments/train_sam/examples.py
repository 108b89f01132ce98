"""Training examples: images with seeds, regions of the dense labels, prompts and target masks."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import label as connected
from tqdm import tqdm

from elite.datasets.dense_labels import read_dense
from elite.datasets.semantickitti import SemanticKITTI
from elite.layout import label_folder
from elite.pixels import jitter
from elite.pseudo_labels.proposers.placement import Placement
from elite.pseudo_labels.records import Prompt, Seeds, view_of
from elite.pseudo_labels.seeds import find_seeds
from elite.types import Frame, PointPixelPairs, View
from experiments.classes import KITTI

CAMERA = "image_2"
FINER = 2  # target masks are finer than the network's, or it would learn the steps of their cells
MIN_SEEDS = 3  # per segment of a prompt
MIN_SHARE = 0.05  # of a segment's seeds on a target region
MIN_ZOOM = 0.5  # of the image's width and height in a training window
JITTER = 0.3


@dataclass(frozen=True)
class Example:
    """Image with its seeds and target regions.

    Attributes:
        regions: number of the region of the dense labels at each pixel.
        targets: region numbers of each segment; empty if all its seeds lie on another class or object.
    """

    image: np.ndarray
    seeds: Seeds
    regions: np.ndarray
    targets: tuple[np.ndarray, ...]


def read_examples(root: Path, sequences: list[str]) -> list[Example]:
    data = SemanticKITTI(root, ",".join(sequences), cameras=(CAMERA,))
    return [read_example(data, data[i]) for i in tqdm(range(len(data)), desc="frames", unit="frame")]


def read_example(data: SemanticKITTI, frame: Frame) -> Example:
    raw, instance = read_dense(data.layout, frame.sequence, frame.name, label_folder(CAMERA))
    truth, view = KITTI.to_train(raw), view_of(frame, frame.cameras[0])
    seeds = find_seeds(view)
    regions = number_regions(truth, instance)
    return Example(view.image, seeds, regions, tuple(targets_of(seeds, truth, instance, regions)))


def number_regions(truth: np.ndarray, instance: np.ndarray) -> np.ndarray:
    """Number each object and each connected part of a class without objects; 0 = sky and unknown."""
    regions = np.zeros(truth.shape, np.int32)
    for value in np.unique(truth[truth > 0]):
        parts, _ = connected((truth == value) & (instance == 0), np.ones((3, 3)))  # type: ignore[misc]
        regions += np.where(parts > 0, parts + regions.max(), 0).astype(np.int32)
        for one in np.unique(instance[(truth == value) & (instance > 0)]):
            regions[(truth == value) & (instance == one)] = regions.max() + 1
    return regions


def targets_of(seeds: Seeds, truth: np.ndarray, instance: np.ndarray, regions: np.ndarray) -> list[np.ndarray]:
    """Regions with the class and object of each segment that contain enough of its seeds."""
    row, column = seeds.pixel.T
    matches = truth[row, column] == seeds.label[seeds.segment]
    matches &= instance[row, column] == seeds.instance[seeds.segment]
    targets = []
    for segment in range(len(seeds.label)):
        in_segment = seeds.segment == segment
        found, count = np.unique(regions[row, column][in_segment & matches], return_counts=True)
        targets.append(found[count >= MIN_SHARE * in_segment.sum()])
    return targets


def augmented(example: Example, rng: np.random.Generator) -> Example:
    """Crop a random window, mirror it in half of the cases, and jitter its colours."""
    zoom = rng.uniform(MIN_ZOOM, 1)
    height, width = (round(n * zoom) for n in example.seeds.size)
    top, left = (int(rng.integers(n - m + 1)) for n, m in zip(example.seeds.size, (height, width), strict=True))
    window = np.s_[top : top + height, left : left + width]
    pixel = example.seeds.pixel - (top, left)
    inside = ((pixel >= 0) & (pixel < (height, width))).all(axis=1)
    pixel = pixel[inside]
    pairs = PointPixelPairs(np.zeros(0, np.int64), np.zeros((0, 2), np.int64))
    image = jitter(View(CAMERA, example.image[window], pairs), JITTER, rng).image
    regions = example.regions[window]
    if rng.random() < 0.5:
        pixel = np.stack([pixel[:, 0], width - 1 - pixel[:, 1]], axis=1)
        image, regions = image[:, ::-1], regions[:, ::-1]
    old = example.seeds
    seeds = Seeds(pixel, old.segment[inside], old.depth[inside], old.label, old.instance, (height, width))
    return replace(example, image=np.ascontiguousarray(image), seeds=seeds, regions=regions)


def random_prompts(example: Example, count: int, points: int, rng: np.random.Generator) -> list[Prompt]:
    """Prompts for random segments, larger ones more often; each at random seeds of its segment."""
    seeds = example.seeds
    seed_count = np.bincount(seeds.segment, minlength=len(seeds.label))
    candidates = [s for s in np.flatnonzero(seed_count >= MIN_SEEDS) if len(example.targets[s])]
    if not candidates:
        return []
    weight = np.sqrt(seed_count[candidates])
    chosen = rng.choice(candidates, count, p=weight / weight.sum())
    rows = [rng.choice(np.flatnonzero(seeds.segment == s), points) for s in chosen]
    return [Prompt(int(s), seeds.pixel[r]) for s, r in zip(chosen, rows, strict=True)]


def target_masks(example: Example, prompts: list[Prompt], placement: Placement) -> np.ndarray:
    """Target masks (prompts, rows, columns), at the centres of mask cells that are split FINER x FINER."""
    step = placement.side / (placement.grid * FINER)
    pixel = [
        ((np.arange(cells * FINER) + 0.5) * step * size / inner).astype(np.int64).clip(max=size - 1)
        for cells, size, inner in zip(placement.cells, placement.size, placement.inner, strict=True)
    ]
    regions = example.regions[np.ix_(*pixel)]
    return np.stack([np.isin(regions, example.targets[p.segment]) for p in prompts])

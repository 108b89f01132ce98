"""Frames made into samples: cropped to the volume, augmented for training, whole for scoring."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Dataset, Sampler

from elite.config import AugmentConfig
from elite.data.augment import keep_points, transform_points
from elite.data.semantickitti import SemanticKITTI
from elite.errors import DataError
from elite.geometry import Volume, in_volume, nearest
from elite.types import Frame, Sample


class TrainingSet(Dataset[Sample]):
    """Labelled frames as training samples. A key is (epoch, index): the same key gives the same sample, in any process.

    The crop comes before the augmentation, so a turned scan may reach beyond the volume; the grid takes any index.
    """

    def __init__(self, frames: SemanticKITTI, volume: Volume, augment: AugmentConfig, seed: int) -> None:
        self.frames = frames
        self.volume = volume
        self.augment = augment
        self.seed = seed
        self.index = frames.labelled()
        if not self.index:
            raise DataError(
                f"no scan of sequences {','.join(frames.sequences)} has a file in '{frames.labels_folder}'; "
                "training needs labels, give --data.labels or other --data.sequences."
            )

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, i = key
        frame = self.frames[self.index[i]]
        rows = np.flatnonzero(_inside(frame, self.volume))
        rng = np.random.default_rng((self.seed, 1, epoch, i))
        if self.augment.enabled:
            rows = rows[keep_points(len(rows), self.augment.drop, rng)]
        points = frame.scan.points[rows]
        if self.augment.enabled:
            points = transform_points(points, self.augment, rng)
        return Sample(frame.id, points, frame.scan.remission[rows], _labels(frame)[rows])


class ScoringSet(Dataset[Sample]):
    """Labelled frames as they are, with what the official score needs: the truth of every point of the scan."""

    def __init__(self, frames: SemanticKITTI, volume: Volume) -> None:
        self.frames = frames
        self.volume = volume
        self.index = frames.labelled()

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> Sample:
        frame = self.frames[self.index[i]]
        keep = _inside(frame, self.volume)
        truth = _labels(frame)
        return Sample(
            frame.id,
            frame.scan.points[keep],
            frame.scan.remission[keep],
            truth[keep],
            cover=nearest(frame.scan.points, keep),
            truth=truth,
        )


class EpochSampler(Sampler[tuple[int, int]]):
    """Keys (epoch, index) in an order that depends on (seed, epoch) only.

    Of ``world`` processes number ``rank`` takes every world-th key, and all take equally many. What does not fill
    a ``multiple`` (the scans of one optimiser step of a process) is dropped, unless an epoch is shorter than that.
    """

    def __init__(self, length: int, seed: int, *, rank: int = 0, world: int = 1, multiple: int = 1) -> None:
        share = length // world
        self.length, self.seed, self.rank, self.world, self.epoch = length, seed, rank, world, 0
        self.share = share - share % multiple if share >= multiple else share

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.share

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self.seed, 0, self.epoch)).permutation(self.length)
        return ((self.epoch, int(i)) for i in order[self.rank :: self.world][: self.share])


def _inside(frame: Frame, volume: Volume) -> np.ndarray:
    keep = in_volume(frame.scan.points, volume)
    if not keep.any():
        raise DataError(
            f"scan {frame.id} has no point in the volume {volume[0]} .. {volume[1]} m; "
            "leave it out, or set student.volume to your sensor's frame and range."
        )
    return keep


def _labels(frame: Frame) -> np.ndarray:
    assert frame.labels is not None  # only labelled frames are in the index
    return frame.labels.astype(np.int64)

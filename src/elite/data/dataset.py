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
        keep = _inside(frame, self.volume)
        points, remission = frame.scan.points[keep], frame.scan.remission[keep]
        labels = _labels(frame)[keep]
        if self.augment.enabled:
            rng = np.random.default_rng((self.seed, epoch, i))
            kept = keep_points(len(points), self.augment.drop, rng)
            points, remission, labels = points[kept], remission[kept], labels[kept]
            points = transform_points(points, self.augment, rng)
        return Sample(frame.id, points, remission, labels)


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
    """Keys (epoch, index) in an order that depends on (seed, epoch) only."""

    def __init__(self, length: int, seed: int) -> None:
        self.length = length
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.length)
        return ((self.epoch, int(i)) for i in order)


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

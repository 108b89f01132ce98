"""What a region shows is decided by the labelled pixels inside of it; which of two regions a pixel belongs to, by
their scores.
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8, UInt16
from scipy.ndimage import distance_transform_edt

from elite.config import VoteConfig
from elite.pseudo_labels.records import Masks, Seeds


@dataclass(frozen=True)
class Regions:
    """Masks that count, and for what.

    Attributes:
        inside: their pixels.
        thing: what each shows: a thing of the seeds.
        purity: share of its labelled pixels that are of that thing.
        score: purity x predicted IoU x stability, by which regions compete for pixels.
    """

    inside: Bool[np.ndarray, "regions h w"]
    thing: Int64[np.ndarray, "regions"]
    purity: Float[np.ndarray, "regions"]
    score: Float[np.ndarray, "regions"]

    def __len__(self) -> int:
        return len(self.thing)

    @classmethod
    def none(cls, size: tuple[int, int]) -> "Regions":
        return cls(np.zeros((0, *size), bool), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))

    def with_(self, other: "Regions") -> "Regions":
        return Regions(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))


def judge(masks: Masks, seeds: Seeds, config: VoteConfig) -> Regions:
    """The masks with enough support, purity, stability and predicted IoU; each shows what most of its seeds are."""
    row, column = seeds.pixel.T
    count = len(seeds.thing_label)
    votes = np.zeros((len(masks), count), np.int64)
    for of_mask, held in zip(votes, masks.inside[:, row, column], strict=True):
        of_mask[:] = np.bincount(seeds.thing[held], minlength=count)
    winner, support = votes.argmax(axis=1), votes.max(axis=1)
    purity = support / np.maximum(votes.sum(axis=1), 1)
    keep = (support >= config.support) & (purity >= config.purity)
    keep &= (masks.stability >= config.stability) & (masks.iou >= config.iou)
    score = purity * masks.iou * masks.stability
    return Regions(masks.inside[keep], winner[keep], purity[keep], score[keep])


def covered(regions: Regions, seeds: Seeds, purity: float) -> Bool[np.ndarray, "seeds"]:
    """Seeds that lie in a region of their own thing that is at least so pure."""
    row, column = seeds.pixel.T
    pure = regions.purity >= purity
    own = seeds.thing == regions.thing[pure, None]
    return (regions.inside[pure][:, row, column] & own).any(axis=0)


def paint(regions: Regions, seeds: Seeds, contest: float) -> tuple[UInt8[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]:
    """(train ids, instance ids) of every pixel, 0 = unknown: the best region of a pixel counts, and seeds keep theirs.

    A region stays out of pixels whose nearest seed is of something else and nearer than ``contest`` pixels.
    """
    answer = np.full(seeds.size, -1, np.int64)
    near = nearby_thing(seeds, contest)
    for i in np.argsort(-regions.score, kind="stable"):
        free = (answer < 0) & ((near < 0) | (near == regions.thing[i]))
        answer[regions.inside[i] & free] = regions.thing[i]
    row, column = seeds.pixel.T
    answer[row, column] = seeds.thing
    label, instance = np.append(seeds.thing_label, 0), np.append(seeds.thing_instance, 0)  # -1 is the last: unknown
    return label[answer].astype(np.uint8), instance[answer].astype(np.uint16)


def nearby_thing(seeds: Seeds, reach: float) -> Int64[np.ndarray, "h w"]:
    """The thing of the nearest seed of every pixel, -1 if that is ``reach`` pixels away or more."""
    marks = np.full(seeds.size, -1, np.int64)
    if reach == 0 or not len(seeds):
        return marks
    row, column = seeds.pixel.T
    marks[row, column] = seeds.thing
    distance, (r, c) = distance_transform_edt(marks < 0, return_indices=True)  # type: ignore[misc]
    return np.where(distance < reach, marks[r, c], -1)

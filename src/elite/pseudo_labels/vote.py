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


def paint(regions: Regions, seeds: Seeds) -> tuple[UInt8[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]:
    """(train ids, instance ids) of every pixel, 0 = unknown: the best region of a pixel counts, and seeds keep theirs.

    Around seeds of something else that it holds, a region is wrong: there it stays out (see ``own_part``).
    """
    answer = np.full(seeds.size, -1, np.int64)
    for i in np.argsort(-regions.score, kind="stable"):
        inside = regions.inside[i]
        if regions.purity[i] < 1:
            inside = own_part(inside, seeds, int(regions.thing[i]))
        answer[inside & (answer < 0)] = regions.thing[i]
    row, column = seeds.pixel.T
    answer[row, column] = seeds.thing
    label, instance = np.append(seeds.thing_label, 0), np.append(seeds.thing_instance, 0)  # -1 is the last: unknown
    return label[answer].astype(np.uint8), instance[answer].astype(np.uint16)


def own_part(inside: Bool[np.ndarray, "h w"], seeds: Seeds, thing: int) -> Bool[np.ndarray, "h w"]:
    """The pixels of a region that are nearer to a seed of its thing than to another one, of the seeds inside of it."""
    row, column = seeds.pixel.T
    held = inside[row, column]
    top, left = np.argmax(inside.any(axis=1)), np.argmax(inside.any(axis=0))
    window = np.s_[top : inside.shape[0] - np.argmax(inside[::-1].any(axis=1)), left:]
    foreign = np.ones(inside.shape, bool)  # True where there is no seed: only the seeds' own entries are looked up
    marked = np.zeros(inside.shape, bool)
    marked[row[held], column[held]] = True
    foreign[row[held], column[held]] = seeds.thing[held] != thing
    r, c = distance_transform_edt(~marked[window], return_distances=False, return_indices=True)  # type: ignore[misc]
    part = np.zeros(inside.shape, bool)
    part[window] = inside[window] & ~foreign[window][r, c]
    return part


def nearest_thing(seeds: Seeds) -> Int64[np.ndarray, "h w"]:
    """The thing of the nearest seed of every pixel. At least one seed is needed."""
    marks = np.full(seeds.size, -1, np.int64)
    row, column = seeds.pixel.T
    marks[row, column] = seeds.thing
    r, c = distance_transform_edt(marks < 0, return_distances=False, return_indices=True)  # type: ignore[misc]
    return marks[r, c]

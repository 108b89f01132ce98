"""What a region shows is decided by the labelled pixels inside of it; which of two regions a pixel belongs to, by
their scores.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8, UInt16
from scipy.ndimage import distance_transform_edt

from elite.config import VoteConfig
from elite.geometry import bounds
from elite.pseudo_labels.records import Columns, Masks, Seeds

_NOTHING = -1  # in maps of things


@dataclass(frozen=True)
class Regions(Columns):
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

    @classmethod
    def none(cls, size: tuple[int, int]) -> "Regions":
        return cls(np.zeros((0, *size), bool), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


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
    return Regions(masks.inside, winner, purity, score).rows(keep)


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
    answer, sown = np.full(seeds.size, _NOTHING, np.int64), seed_map(seeds)
    for i in np.argsort(-regions.score, kind="stable"):
        inside, thing = regions.inside[i], regions.thing[i]
        if regions.purity[i] < 1:
            inside = own_part(inside, sown, int(thing))
        answer[inside & (answer == _NOTHING)] = thing
    answer = np.where(sown == _NOTHING, answer, sown)
    label, instance = np.append(seeds.thing_label, 0), np.append(seeds.thing_instance, 0)  # _NOTHING is the last
    return label[answer].astype(np.uint8), instance[answer].astype(np.uint16)


def own_part(inside: Bool[np.ndarray, "h w"], sown: Int64[np.ndarray, "h w"], thing: int) -> Bool[np.ndarray, "h w"]:
    """The pixels of a region that are nearer to a seed of its thing than to another one, of the seeds inside of it.

    ``sown`` is the ``seed_map``; at least one seed must be inside.
    """
    box = bounds(inside)
    part = np.zeros_like(inside)
    part[box] = inside[box] & (spread(np.where(inside[box], sown[box], _NOTHING)) == thing)
    return part


def nearest_thing(seeds: Seeds) -> Int64[np.ndarray, "h w"]:
    """The thing of the nearest seed of every pixel. At least one seed is needed."""
    return spread(seed_map(seeds))


def seed_map(seeds: Seeds) -> Int64[np.ndarray, "h w"]:
    """The thing of the seed at every pixel, -1 where there is none."""
    sown = np.full(seeds.size, _NOTHING, np.int64)
    row, column = seeds.pixel.T
    sown[row, column] = seeds.thing
    return sown


def spread(sown: Int64[np.ndarray, "h w"]) -> Int64[np.ndarray, "h w"]:
    """A map of things with every -1 replaced by the nearest thing, of which there must be one."""
    row, column = distance_transform_edt(sown == _NOTHING, return_distances=False, return_indices=True)  # type: ignore[misc]
    return sown[row, column]

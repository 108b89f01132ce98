"""Vote: the seeds inside a region decide its class; the scores of the regions decide which one a pixel belongs to."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from elite.config import VoteConfig
from elite.geometry import bounds
from elite.pseudo_labels.records import Columns, Masks, Seeds
from elite.shapes import Bool, Float, Int64, UInt8, UInt16

_NONE = -1  # no entity, in maps of entities


@dataclass(frozen=True)
class Regions(Columns):
    """Accepted masks with their entities.

    Attributes:
        inside: pixels of each region.
        entity: entity of each region, as in ``Seeds``.
        purity: share of the seeds inside that belong to this entity.
        score: purity x predicted IoU x stability; regions compete for pixels by score.
    """

    inside: Bool[np.ndarray, "regions h w"]
    entity: Int64[np.ndarray, "regions"]
    purity: Float[np.ndarray, "regions"]
    score: Float[np.ndarray, "regions"]

    @classmethod
    def empty(cls, size: tuple[int, int]) -> "Regions":
        return cls(np.zeros((0, *size), bool), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


def accept_regions(masks: Masks, seeds: Seeds, config: VoteConfig) -> Regions:
    """Keep masks with sufficient support, purity, stability and predicted IoU; each gets the entity of most seeds."""
    row, column = seeds.pixel.T
    count = len(seeds.entity_label)
    votes = np.zeros((len(masks), count), np.int64)
    for mask_votes, inside in zip(votes, masks.inside[:, row, column], strict=True):
        mask_votes[:] = np.bincount(seeds.entity[inside], minlength=count)
    winner, support = votes.argmax(axis=1), votes.max(axis=1)
    purity = support / np.maximum(votes.sum(axis=1), 1)
    keep = (support >= config.support) & (purity >= config.purity)
    keep &= (masks.stability >= config.stability) & (masks.iou >= config.iou)
    score = purity * masks.iou * masks.stability
    return Regions(masks.inside, winner, purity, score).select(keep)


def covered_seeds(regions: Regions, seeds: Seeds, purity: float) -> Bool[np.ndarray, "seeds"]:
    """Seeds inside a region of their entity with at least the given purity."""
    row, column = seeds.pixel.T
    pure = regions.purity >= purity
    same_entity = seeds.entity == regions.entity[pure, None]
    return (regions.inside[pure][:, row, column] & same_entity).any(axis=0)


def paint_regions(regions: Regions, seeds: Seeds) -> tuple[UInt8[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]:
    """Return (train ids, instance ids) of every pixel, 0 = unknown.

    A pixel belongs to its region with the highest score; seeds keep their label. A region that contains seeds of other
    entities is wrong around them: these pixels are excluded, see ``part_near_seeds``.
    """
    painted, known = np.full(seeds.size, _NONE, np.int64), entity_map(seeds)
    for i in np.argsort(-regions.score, kind="stable"):
        inside, entity = regions.inside[i], regions.entity[i]
        if regions.purity[i] < 1:
            inside = part_near_seeds(inside, known, int(entity))
        painted[inside & (painted == _NONE)] = entity
    painted = np.where(known == _NONE, painted, known)
    label, instance = np.append(seeds.entity_label, 0), np.append(seeds.entity_instance, 0)  # _NONE is the last
    return label[painted].astype(np.uint8), instance[painted].astype(np.uint16)


def part_near_seeds(
    inside: Bool[np.ndarray, "h w"], known: Int64[np.ndarray, "h w"], entity: int
) -> Bool[np.ndarray, "h w"]:
    """Pixels of a region whose nearest seed inside the region belongs to ``entity``.

    ``known`` is the ``entity_map``; at least one seed must be inside the region.
    """
    box = bounds(inside)
    part = np.zeros_like(inside)
    part[box] = inside[box] & (fill_nearest(np.where(inside[box], known[box], _NONE)) == entity)
    return part


def nearest_entity(seeds: Seeds) -> Int64[np.ndarray, "h w"]:
    """Entity of the nearest seed of every pixel. Requires at least one seed."""
    return fill_nearest(entity_map(seeds))


def entity_map(seeds: Seeds) -> Int64[np.ndarray, "h w"]:
    """Entity of the seed at every pixel, -1 for pixels without a seed."""
    known = np.full(seeds.size, _NONE, np.int64)
    row, column = seeds.pixel.T
    known[row, column] = seeds.entity
    return known


def fill_nearest(entities: Int64[np.ndarray, "h w"]) -> Int64[np.ndarray, "h w"]:
    """Replace every -1 by the nearest entity. Requires at least one entity."""
    row, column = distance_transform_edt(entities == _NONE, return_distances=False, return_indices=True)  # type: ignore[misc]
    return entities[row, column]

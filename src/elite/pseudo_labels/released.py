"""Procedure of the published code (SAM-PLG), for comparison. Its weaknesses are reproduced on purpose.

Points are drawn on the image without an occlusion test; the last point of a pixel wins. The padded square is reduced to
256 x 256 cells by taking one pixel of each, which loses about 96 % of the labelled pixels. Every remaining cell is a
prompt. Masks are selected by non-maximum suppression of their boxes and painted from worst to best.
"""

import numpy as np

from elite.geometry import in_image, project
from elite.pseudo_labels.records import DenseLabel, LabelledView, Masks, Prompt, Proposer, Seeds
from elite.pseudo_labels.vote import Regions
from elite.shapes import Bool, Float, Int64, UInt8, UInt16
from elite.taxonomy import IGNORE

_GRID = 256
_BATCH = 128
_STABILITY = 0.9
_OVERLAP = 0.7
_NO_POINT = -1
_OBJECT_LOGIT, _STUFF_LOGIT = 16.0, 1.0  # of the cells of the prompted segment


def label_image_released(view: LabelledView, proposer: Proposer) -> tuple[DenseLabel, Seeds, Regions]:
    """Label one image.

    Returns:
        The dense label, the prompted seeds, and the painted regions, whose entity and purity are not defined.
    """
    drawn, drawn_instance = draw_points(view)
    seeds = grid_seeds(drawn, drawn_instance)
    label, objects = np.maximum(drawn, 0).astype(np.uint8), drawn_instance.copy()
    if not len(seeds):
        return DenseLabel(label, objects, 0), seeds, Regions.empty(view.size)
    masks = _propose(proposer, view.image, seeds)
    for i in np.argsort(masks.iou, kind="stable"):
        inside = masks.inside[i]
        found = drawn[inside & (drawn != _NO_POINT)]
        winner = int(np.bincount(found).argmax()) if len(found) else IGNORE
        if winner != IGNORE:
            label[inside] = winner
            objects[inside] = np.bincount(drawn_instance[inside & (drawn == winner)]).argmax()
    undefined = np.zeros(len(masks))
    regions = Regions(masks.inside, undefined.astype(np.int64), undefined, masks.iou.astype(np.float64))
    return DenseLabel(label, objects, len(seeds)), seeds, regions


def draw_points(view: LabelledView) -> tuple[Int64[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]:
    """Train id (-1 for pixels without a point) and instance id of every pixel."""
    uv, _ = project(view.points, view.camera)
    point = np.flatnonzero(in_image(uv, *view.size))
    column, row = np.floor(uv[point]).astype(np.int64).T
    drawn, objects = np.full(view.size, _NO_POINT, np.int64), np.zeros(view.size, np.uint16)
    drawn[row, column], objects[row, column] = view.labels[point], view.instance[point]  # the last of a pixel stays
    return drawn, objects


def grid_seeds(drawn: Int64[np.ndarray, "h w"], instance: UInt16[np.ndarray, "h w"]) -> Seeds:
    """Seeds of the labelled cells, with one segment per object and one per class without instance ids."""
    side = max(drawn.shape)
    cells = ((np.arange(_GRID) + 0.5) * side / _GRID).astype(np.int64)
    rows, columns = cells[cells < drawn.shape[0]], cells[cells < drawn.shape[1]]
    row, column = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
    keep = drawn[row, column] > IGNORE
    pixel = np.stack([row[keep], column[keep]], axis=1)
    label, objects = (values[pixel[:, 0], pixel[:, 1]] for values in (drawn, instance))
    unique, segment = np.unique(np.stack([label, objects], axis=1), axis=0, return_inverse=True)
    return Seeds(
        pixel,
        segment.reshape(-1),
        np.zeros(len(pixel)),
        unique[:, 0].astype(np.uint8),
        unique[:, 1].astype(np.uint16),
        (drawn.shape[0], drawn.shape[1]),
    )


def _propose(proposer: Proposer, image: UInt8[np.ndarray, "h w 3"], seeds: Seeds) -> Masks:
    """Stable masks of all cells, without those whose box overlaps the box of a better mask."""
    session = proposer.open(image, seeds)
    prompts = [
        Prompt(
            int(s), pixel[None], segment_logit=_OBJECT_LOGIT if seeds.instance[s] else _STUFF_LOGIT, object_logit=0.0
        )
        for s, pixel in zip(seeds.segment, seeds.pixel, strict=True)
    ]
    stable = []
    for i in range(0, len(prompts), _BATCH):
        masks = session.propose(prompts[i : i + _BATCH])
        stable.append(masks.select(masks.stability >= _STABILITY))
    masks = Masks.concat(stable, seeds.size)
    return masks.select(suppress(boxes(masks.inside), masks.iou))


def boxes(inside: Bool[np.ndarray, "masks h w"]) -> Int64[np.ndarray, "masks 4"]:
    """Bounding boxes: top, left, bottom, right (the last two exclusive), all 0 for an empty mask."""
    top, bottom = _extent(np.asarray(inside.any(axis=2)))
    left, right = _extent(np.asarray(inside.any(axis=1)))
    return np.stack([top, left, bottom, right], axis=1)


def _extent(hit: Bool[np.ndarray, "masks n"]) -> tuple[Int64[np.ndarray, "masks"], Int64[np.ndarray, "masks"]]:
    last = hit.shape[1] - hit[:, ::-1].argmax(axis=1)
    return hit.argmax(axis=1), np.where(hit.any(axis=1), last, 0)


def suppress(box: Int64[np.ndarray, "m 4"], score: Float[np.ndarray, "m"]) -> Int64[np.ndarray, "kept"]:
    """Greedy non-maximum suppression: rows in descending score whose box has an IoU of at most 0.7 with all kept."""
    order, kept = np.argsort(-score, kind="stable"), []
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        corner = np.maximum(box[rest, :2], box[best, :2]), np.minimum(box[rest, 2:], box[best, 2:])
        shared = np.clip(corner[1] - corner[0], 0, None).prod(axis=1)
        order = rest[shared <= _OVERLAP * (area[rest] + area[best] - shared)]
    return np.array(kept, np.int64)

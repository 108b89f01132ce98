"""Mask IoU of the small SAM on held-out images."""

from typing import Any

import numpy as np
from tqdm import tqdm

from elite.pseudo_labels.proposers.sam import Sam
from elite.pseudo_labels.records import Prompt
from experiments.classes import KITTI
from experiments.train_sam.examples import MIN_SEEDS, Example


def evaluate(sam: Sam, examples: list[Example], most: int) -> dict[str, Any]:
    """Mean IoU at full size of the mask with the highest predicted IoU, and of the best of the three masks.

    Each image has one prompt in the middle of each of its ``most`` largest segments.
    """
    rows = []
    for example in tqdm(examples, desc="evaluate", unit="frame"):
        session, prompts = sam.open(example.image, example.seeds), middle_prompts(example, most)
        for i in range(0, len(prompts), sam.batch):
            some = prompts[i : i + sam.batch]
            masks = session.propose(some)
            for j, prompt in enumerate(some):
                mine = masks.prompt == j
                target = np.isin(example.regions, example.targets[prompt.segment])
                iou = [(m & target).sum() / max((m | target).sum(), 1) for m in masks.inside[mine]]
                best = int(masks.iou[mine].argmax())
                label = int(example.seeds.label[prompt.segment])
                rows.append((label, iou[best], max(iou), float(masks.iou[mine][best]), masks.stability[mine][best]))
    table = np.array(rows)
    names = ("iou", "iou_best_of_three", "iou_predicted", "stability")
    means = dict(zip(names, table[:, 1:].mean(axis=0).round(4).tolist(), strict=True))
    by_class = {
        KITTI.names[c]: [round(float(table[table[:, 0] == c, 1].mean()), 3), int((table[:, 0] == c).sum())]
        for c in np.unique(table[:, 0]).astype(int)
    }
    return {"prompts": len(rows), **means, "iou_and_prompts_by_class": by_class}


def middle_prompts(example: Example, most: int) -> list[Prompt]:
    prompts = []
    for segment, targets in enumerate(example.targets[:most]):
        pixel = example.seeds.pixel[example.seeds.segment == segment]
        if len(pixel) >= MIN_SEEDS and len(targets):
            prompts.append(Prompt(segment, pixel[[np.square(pixel - pixel.mean(axis=0)).sum(axis=1).argmin()]]))
    return prompts

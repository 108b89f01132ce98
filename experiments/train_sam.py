"""Trains a small promptable SAM on a synthetic drive's dense labels, on one thread in half an hour.

    elite synth streets --seed 5000 --sequences 30 --frames 6 --beams 64 --azimuths 1024
    OMP_NUM_THREADS=1 python -m experiments.train_sam streets small-sam --minutes 30

Published SAMs know the world's images and take seconds an image; this one knows the synthetic street, so that the whole
way from LiDAR labels to pseudo-labels can be tried and measured anywhere. It is asked exactly as the proposer asks: a
seed of a segment and the mask prompt drawn from all seeds. What it should answer is the part of the dense labels that
the segment's seeds lie on. Loss as SAM's: the best of three masks by cross entropy and Dice, and the IoU of all three.

OUT gets a transformers folder and training.json: losses, and mask IoU on sequence 08, which is not trained on.
"""

import argparse
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import label as connected
from torch import Tensor, nn
from tqdm import tqdm
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

from elite.data.images import label_folder
from elite.datasets.dense_labels import read_dense
from elite.datasets.semantickitti import SemanticKITTI
from elite.files import make_folder, write_json
from elite.labels import CLASS_NAMES, to_train
from elite.pixels import jitter
from elite.pseudo_labels.proposers.placement import Placement, mask_prompts, place, point_prompts, to_square
from elite.pseudo_labels.proposers.sam import Sam
from elite.pseudo_labels.records import Prompt, Seeds, view_of
from elite.pseudo_labels.seeds import find_seeds
from elite.teacher.backbone import SamBackbone
from elite.types import Frame, PointPixelPairs, View

CAMERA = "image_2"
VALID = "08"
SIDE, PATCH, WINDOW, WIDTH, NECK = 512, 16, 5, 128, 64  # five patches of 16: half of an image of KITTI
FINER = 2  # the loss looks at masks drawn up so much, or they would learn the steps of their cells
LEAST_SEEDS = 3  # of a segment that is asked for
SHARE = 0.05  # of a segment's seeds that must lie on a region for it to be wanted
ZOOM = 0.5  # smallest share of the image's width and height that a training window has
PADDED = 0.15  # share of the steps in which some of the padding is encoded too, as all of it is when SAM is asked
JITTER = 0.3


# ---- the network ----------------------------------------------------------------------------------------------


def small_sam() -> SamModel:
    """32 x 32 patches in windows of 5 x 5, two global blocks, masks of 128 x 128. Patches of 8 would draw finer masks,
    and take five times as long to learn anything.
    """
    vision = SamVisionConfig(
        hidden_size=WIDTH,
        num_hidden_layers=6,
        num_attention_heads=4,
        mlp_dim=4 * WIDTH,
        image_size=SIDE,
        patch_size=PATCH,
        window_size=WINDOW,
        global_attn_indexes=[2, 5],
        output_channels=NECK,
        num_pos_feats=NECK // 2,
        initializer_range=0.02,
    )
    prompt = SamPromptEncoderConfig(hidden_size=NECK, image_size=SIDE, patch_size=PATCH)
    decoder = SamMaskDecoderConfig(
        hidden_size=NECK, mlp_dim=4 * NECK, num_attention_heads=4, iou_head_hidden_dim=NECK, layer_norm_eps=1e-5
    )
    model = SamModel(SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder))
    return _initialised(model)


@torch.no_grad()
def _initialised(model: SamModel) -> SamModel:
    """Weights that learn at once: transformers' own are made to be overwritten by published ones."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
    for name, parameter in model.named_parameters():
        if "pos_embed" in name or "rel_pos" in name:
            nn.init.normal_(parameter, std=0.02)
    return model


class Trainee(nn.Module):
    """The network on the upper rows of the square: most of it is padding, which costs as much as the image."""

    def __init__(self, model: SamModel) -> None:
        super().__init__()
        self.model = model
        self.backbone = SamBackbone(model.vision_encoder, (len(model.vision_encoder.layers) - 1,))

    def forward(self, pixels: Tensor, points: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (prompts, 3, rows, columns of cells) and IoU (prompts, 3) of ``pixels`` (1, 3, rows, side).

        ``points`` are (prompts, 1, k, 2), as the network counts, ``masks`` (prompts, 1, rows, columns).
        """
        model: Any = self.model
        (features,) = self.backbone.maps(pixels)
        embedding = model.vision_encoder.neck(features.permute(0, 2, 3, 1))
        sparse, dense = model.prompt_encoder(points, torch.ones(points.shape[:3]), None, masks)
        positions = model.get_image_wide_positional_embeddings()[:, :, : embedding.shape[2]]
        wide = [t.expand(len(points), -1, -1, -1) for t in (embedding, positions)]
        logits, iou = model.mask_decoder(*wide, sparse, dense, multimask_output=True)
        return logits[:, 0], iou[:, 0]


# ---- what is asked and what should be answered ----------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """An image with its seeds; ``regions`` numbers the parts of the dense labels, ``goals[s]`` are those of segment s.

    Some segments have none: all their seeds lie on something else.
    """

    image: np.ndarray
    seeds: Seeds
    regions: np.ndarray
    goals: tuple[np.ndarray, ...]


def read_examples(root: Path, sequences: list[str]) -> list[Example]:
    data = SemanticKITTI(root, ",".join(sequences), cameras=(CAMERA,))
    return [read_example(data, data[i]) for i in tqdm(range(len(data)), desc="frames", unit="frame")]


def read_example(data: SemanticKITTI, frame: Frame) -> Example:
    raw, instance = read_dense(data.layout, frame.sequence, frame.name, label_folder(CAMERA))
    truth, view = to_train(raw), view_of(frame, frame.cameras[0])
    seeds = find_seeds(view)
    regions = number_regions(truth, instance)
    return Example(view.image, seeds, regions, tuple(goals_of(seeds, truth, instance, regions)))


def number_regions(truth: np.ndarray, instance: np.ndarray) -> np.ndarray:
    """A number for every object and every connected part of a class without objects; 0 = sky and unknown."""
    regions = np.zeros(truth.shape, np.int32)
    for value in np.unique(truth[truth > 0]):
        alone, _ = connected((truth == value) & (instance == 0), np.ones((3, 3)))  # type: ignore[misc]
        regions += np.where(alone > 0, alone + regions.max(), 0).astype(np.int32)
        for one in np.unique(instance[(truth == value) & (instance > 0)]):
            regions[(truth == value) & (instance == one)] = regions.max() + 1
    return regions


def goals_of(seeds: Seeds, truth: np.ndarray, instance: np.ndarray, regions: np.ndarray) -> list[np.ndarray]:
    """Of each segment the regions of its own class and object that enough of its seeds lie on."""
    row, column = seeds.pixel.T
    right = truth[row, column] == seeds.label[seeds.segment]
    right &= instance[row, column] == seeds.instance[seeds.segment]
    goals = []
    for segment in range(len(seeds.label)):
        own = seeds.segment == segment
        found, count = np.unique(regions[row, column][own & right], return_counts=True)
        goals.append(found[count >= SHARE * own.sum()])
    return goals


def augmented(example: Example, rng: np.random.Generator) -> Example:
    """A window of the image, perhaps mirrored, in other colours."""
    zoom = rng.uniform(ZOOM, 1)
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


def choose(example: Example, count: int, points: int, rng: np.random.Generator) -> list[Prompt]:
    """Prompts for segments at random, the larger ones more often; each at some of its seeds."""
    seeds = example.seeds
    held = np.bincount(seeds.segment, minlength=len(seeds.label))
    askable = [s for s in np.flatnonzero(held >= LEAST_SEEDS) if len(example.goals[s])]
    if not askable:
        return []
    weight = np.sqrt(held[askable])
    chosen = rng.choice(askable, count, p=weight / weight.sum())
    rows = [rng.choice(np.flatnonzero(seeds.segment == s), points) for s in chosen]
    return [Prompt(int(s), seeds.pixel[r]) for s, r in zip(chosen, rows, strict=True)]


def answers(example: Example, prompts: list[Prompt], placement: Placement) -> np.ndarray:
    """What the masks should be, (prompts, rows, columns): at the middles of the cells that the image touches, each cell
    cut into FINER x FINER.
    """
    step = placement.side / (placement.grid * FINER)
    pixel = [
        ((np.arange(cells * FINER) + 0.5) * step * size / inner).astype(np.int64).clip(max=size - 1)
        for cells, size, inner in zip(placement.cells, placement.size, placement.inner, strict=True)
    ]
    regions = example.regions[np.ix_(*pixel)]
    return np.stack([np.isin(regions, example.goals[p.segment]) for p in prompts])


# ---- training -------------------------------------------------------------------------------------------------


def losses(logits: Tensor, iou: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, mask loss, IoU of the best mask), means over the prompts, of (prompts, 3, rows, columns) on the image."""
    wanted = truth[:, None].expand_as(logits)
    # Inside and outside count alike, or nothing at all would be the first thing that the network learns to answer.
    inside = wanted.flatten(2).mean(-1, keepdim=True).clamp(1e-4, 1 - 1e-4)
    weight = 0.5 * (wanted.flatten(2) / inside + (1 - wanted.flatten(2)) / (1 - inside))
    entropy = F.binary_cross_entropy_with_logits(logits.flatten(2), wanted.flatten(2), weight, reduction="none")
    p = logits.sigmoid()
    dice = 1 - (2 * (p * wanted).flatten(2).sum(-1) + 1) / ((p + wanted).flatten(2).sum(-1) + 1)
    mask = (entropy.mean(-1) + dice).min(dim=1).values.mean()
    with torch.no_grad():
        drawn, right = logits > 0, wanted > 0.5
        true = (drawn & right).flatten(2).sum(-1) / (drawn | right).flatten(2).sum(-1).clamp(min=1)
    return mask + F.mse_loss(iou, true), mask, true.max(dim=1).values.mean()


def train(model: SamModel, examples: list[Example], minutes: float, prompts: int, peak: float, seed: int) -> Any:
    """Until the time is up; the learning rate falls with it. Returns (steps, log)."""
    rng = np.random.default_rng(seed)
    trainee = Trainee(model).train()
    optimizer = torch.optim.AdamW(trainee.parameters(), lr=peak, weight_decay=0.01)
    log, recent, start, steps = [], [], time.monotonic(), 0
    with tqdm(total=round(60 * minutes), unit="s", desc="train") as bar:
        while (share := (time.monotonic() - start) / (60 * minutes)) < 1:
            for group in optimizer.param_groups:
                group["lr"] = peak * min(1, (steps + 1) / 30) * 0.5 * (1 + math.cos(math.pi * share))
            example = augmented(examples[rng.integers(len(examples))], rng)
            asked = choose(example, prompts, int(rng.choice([1, 1, 1, 2, 3])), rng)
            if not asked:
                continue
            loss, mask, iou = losses_of(trainee, example, asked, rows_to_encode(example, rng))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(trainee.parameters(), 1.0)
            optimizer.step()
            steps += 1
            recent.append((loss.item(), mask.item(), iou.item()))
            bar.update(round(min(share, 1) * 60 * minutes) - bar.n)
            if steps % 25 == 0:
                means = dict(zip(("loss", "mask", "iou"), np.mean(recent, axis=0).tolist(), strict=True))
                log.append({"step": steps, "seconds": time.monotonic() - start, **means})
                bar.set_postfix(step=steps, loss=f"{means['loss']:.3f}", iou=f"{means['iou']:.3f}")
                recent = []
    return steps, log


def rows_to_encode(example: Example, rng: np.random.Generator) -> int:
    """Rows of the square: those of the image, in whole windows, and sometimes any number of the others."""
    height, width = example.seeds.size
    block = WINDOW * PATCH
    least, most = -(-round(height * SIDE / width) // block), -(-SIDE // block)
    return min(SIDE, block * (int(rng.integers(least, most + 1)) if rng.random() < PADDED else least))


def losses_of(trainee: Trainee, example: Example, asked: list[Prompt], rows: int) -> tuple[Tensor, Tensor, Tensor]:
    placement = place(trainee.model.config, example.seeds.size)
    cells = rows * placement.grid // SIDE
    masks = mask_prompts(example.seeds, placement, asked)
    logits, iou = trainee(
        to_square(example.image, placement)[:, :, :rows],
        torch.from_numpy(point_prompts(placement, asked)),
        torch.from_numpy(masks)[:, None, :cells],
    )
    truth = torch.from_numpy(answers(example, asked, placement)).float()
    finer = F.interpolate(logits, scale_factor=FINER, mode="bilinear")
    return losses(finer[..., : truth.shape[1], : truth.shape[2]], iou, truth)


# ---- scoring --------------------------------------------------------------------------------------------------


def evaluate(sam: Sam, examples: list[Example], most: int) -> dict[str, Any]:
    """IoU at full size of the mask that the network thinks best, and of the best of its three, over the ``most``
    largest segments of each image, asked once each in their middle.
    """
    rows = []
    for example in tqdm(examples, desc="evaluate", unit="frame"):
        session, prompts = sam.open(example.image, example.seeds), middles(example, most)
        for i in range(0, len(prompts), sam.batch):
            some = prompts[i : i + sam.batch]
            masks = session.propose(some)
            for j, prompt in enumerate(some):
                mine = masks.prompt == j
                wanted = np.isin(example.regions, example.goals[prompt.segment])
                iou = [(m & wanted).sum() / max((m | wanted).sum(), 1) for m in masks.inside[mine]]
                best = int(masks.iou[mine].argmax())
                label = int(example.seeds.label[prompt.segment])
                rows.append((label, iou[best], max(iou), float(masks.iou[mine][best]), masks.stability[mine][best]))
    table = np.array(rows)
    names = ("iou", "iou_best_of_three", "iou_predicted", "stability")
    means = dict(zip(names, table[:, 1:].mean(axis=0).round(4).tolist(), strict=True))
    by_class = {
        CLASS_NAMES[c]: [round(float(table[table[:, 0] == c, 1].mean()), 3), int((table[:, 0] == c).sum())]
        for c in np.unique(table[:, 0]).astype(int)
    }
    return {"prompts": len(rows), **means, "iou_and_prompts_by_class": by_class}


def middles(example: Example, most: int) -> list[Prompt]:
    prompts = []
    for segment, goals in enumerate(example.goals[:most]):
        pixel = example.seeds.pixel[example.seeds.segment == segment]
        if len(pixel) >= LEAST_SEEDS and len(goals):
            prompts.append(Prompt(segment, pixel[[np.square(pixel - pixel.mean(axis=0)).sum(axis=1).argmin()]]))
    return prompts


def main(root: Path, out: Path, minutes: float, prompts: int, lr: float, seed: int) -> None:
    torch.manual_seed(seed)
    make_folder(out)
    found = SemanticKITTI(root, cameras=(CAMERA,)).layout.found_sequences()
    examples, valid = read_examples(root, [s for s in found if s != VALID]), read_examples(root, [VALID])
    model = small_sam()
    steps, log = train(model, examples, minutes, prompts, lr, seed)
    model.save_pretrained(out)
    score = evaluate(Sam(model), valid, most=40)
    size = sum(p.numel() for p in model.parameters())
    write_json(
        out / "training.json", {"parameters": size, "minutes": minutes, "steps": steps, "valid": score, "log": log}
    )
    print(f"{size / 1e6:.2f} M parameters, {steps} steps; on {VALID}: {score}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="a synthetic drive with dense labels")
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--prompts", type=int, default=24, help="per step, all of one image")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))

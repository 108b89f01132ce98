"""Loss and training loop of the small SAM."""

import math
import time
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm
from transformers import SamModel

from elite.pseudo_labels.proposers.placement import mask_prompts, place, point_prompts, to_square
from elite.pseudo_labels.records import Prompt
from experiments.train_sam.examples import FINER, Example, augmented, random_prompts, target_masks
from experiments.train_sam.network import PATCH, SIDE, WINDOW, Trainee

PADDED_SHARE = 0.15  # steps that encode some padding, because inference encodes all of it


def losses(logits: Tensor, iou: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, mask loss and IoU of the best mask, as means over prompts, for logits (prompts, 3, rows, columns)."""
    target = truth[:, None].expand_as(logits)
    # Pixels inside and outside have equal total weight. Otherwise the network first learns to predict empty masks.
    inside = target.flatten(2).mean(-1, keepdim=True).clamp(1e-4, 1 - 1e-4)
    weight = 0.5 * (target.flatten(2) / inside + (1 - target.flatten(2)) / (1 - inside))
    entropy = F.binary_cross_entropy_with_logits(logits.flatten(2), target.flatten(2), weight, reduction="none")
    p = logits.sigmoid()
    dice = 1 - (2 * (p * target).flatten(2).sum(-1) + 1) / ((p + target).flatten(2).sum(-1) + 1)
    mask = (entropy.mean(-1) + dice).min(dim=1).values.mean()
    with torch.no_grad():
        predicted, true = logits > 0, target > 0.5
        true_iou = (predicted & true).flatten(2).sum(-1) / (predicted | true).flatten(2).sum(-1).clamp(min=1)
    return mask + F.mse_loss(iou, true_iou), mask, true_iou.max(dim=1).values.mean()


def train(model: SamModel, examples: list[Example], minutes: float, prompts: int, peak: float, seed: int) -> Any:
    """Train for ``minutes`` with a cosine schedule over time. Return the number of steps and a log."""
    rng = np.random.default_rng(seed)
    trainee = Trainee(model).train()
    optimizer = torch.optim.AdamW(trainee.parameters(), lr=peak, weight_decay=0.01)
    log, recent, start, steps = [], [], time.monotonic(), 0
    with tqdm(total=round(60 * minutes), unit="s", desc="train") as bar:
        while (share := (time.monotonic() - start) / (60 * minutes)) < 1:
            for group in optimizer.param_groups:
                group["lr"] = peak * min(1, (steps + 1) / 30) * 0.5 * (1 + math.cos(math.pi * share))
            example = augmented(examples[rng.integers(len(examples))], rng)
            chosen = random_prompts(example, prompts, int(rng.choice([1, 1, 1, 2, 3])), rng)
            if not chosen:
                continue
            loss, mask, iou = losses_of(trainee, example, chosen, random_rows(example, rng))
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


def random_rows(example: Example, rng: np.random.Generator) -> int:
    """Rows of the square to encode: those of the image, in full windows, and sometimes some of the padding."""
    height, width = example.seeds.size
    block = WINDOW * PATCH
    least, most = -(-round(height * SIDE / width) // block), -(-SIDE // block)
    return min(SIDE, block * (int(rng.integers(least, most + 1)) if rng.random() < PADDED_SHARE else least))


def losses_of(trainee: Trainee, example: Example, prompts: list[Prompt], rows: int) -> tuple[Tensor, Tensor, Tensor]:
    placement = place(trainee.model.config, example.seeds.size)
    cells = rows * placement.grid // SIDE
    masks = mask_prompts(example.seeds, placement, prompts)
    logits, iou = trainee(
        to_square(example.image, placement)[:, :, :rows],
        torch.from_numpy(point_prompts(placement, prompts)),
        torch.from_numpy(masks)[:, None, :cells],
    )
    truth = torch.from_numpy(target_masks(example, prompts, placement)).float()
    finer = F.interpolate(logits, scale_factor=FINER, mode="bilinear")
    return losses(finer[..., : truth.shape[1], : truth.shape[2]], iou, truth)

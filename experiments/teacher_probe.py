"""Linear probe of a foundation model: one linear layer on its frozen feature maps.

    python -m experiments.teacher_probe WEIGHTS DRIVE

WEIGHTS is a value of --teacher.weights, including random. Prints the mIoU of the layer (classes present) on the dense
labels of another sequence, at a quarter of the image size.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elite.config import ImageConfig, TeacherConfig
from elite.data.image_set import ImageSet
from elite.datasets import SemanticKITTI
from elite.metrics import score
from elite.teacher.backbone import Backbone
from elite.teacher.weights import load_backbone
from elite.teacher_training.objectives import at_cells
from elite.training.confusion import Confusion, predicted_classes
from experiments.classes import KITTI
from experiments.runs import append_row

STRIDE = 4


@torch.no_grad()
def cells(backbone: Backbone, root: Path, sequences: str, image: ImageConfig) -> tuple[Tensor, Tensor]:
    """Features (cells, channels of all maps) and train ids of all labelled cells."""
    pictures = ImageSet(
        SemanticKITTI(root, sequences, frame_files="images"), image, target="classes", seed=0, augment=False
    )
    feats, labels = [], []
    for i in range(len(pictures)):
        picture = pictures[0, i]
        size = tuple(n // STRIDE for n in picture.target.shape)
        maps = backbone(torch.from_numpy(picture.image)[None])
        fused = torch.cat([F.interpolate(m, size, mode="bilinear") for m in maps], dim=1)[0].flatten(1).T
        label = at_cells(torch.from_numpy(picture.target)[None], *size).flatten()
        feats.append(fused[label > 0].half())
        labels.append(label[label > 0])
    return torch.cat(feats), torch.cat(labels)


def fit(feats: Tensor, labels: Tensor, steps: int) -> nn.Module:
    """Linear layer after a fixed standardisation, trained by cross entropy with cube-root class weights."""
    some = feats[torch.randperm(len(feats))[:50_000]].float()
    norm = nn.BatchNorm1d(feats.shape[1], affine=False)
    norm.running_mean, norm.running_var = some.mean(0), some.var(0)
    layer = nn.Linear(feats.shape[1], len(KITTI))
    counts = labels.bincount(minlength=len(KITTI)).clamp(min=1).float()
    weights = (counts.max() / counts) ** (1 / 3)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    norm.eval()
    for _ in range(steps):
        chosen = torch.randint(len(feats), (8192,))
        loss = F.cross_entropy(layer(norm(feats[chosen].float())), labels[chosen], weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return nn.Sequential(norm, layer)


@torch.no_grad()
def probe(config: TeacherConfig, root: Path, train: str, test: str, image: ImageConfig, steps: int) -> float:
    """Train and score the layer, and return its mIoU in %."""
    torch.manual_seed(0)
    backbone = load_backbone(config, 4)
    with torch.enable_grad():
        layer = fit(*cells(backbone, root, train, image), steps)
    feats, labels = cells(backbone, root, test, image)
    confusion = Confusion(len(KITTI))
    for f, y in zip(feats.split(1 << 16), labels.split(1 << 16), strict=True):
        confusion.update(predicted_classes(layer(f.float())), y)
    result = score(confusion.matrix.numpy())
    print("  ".join(f"{KITTI.names[c]} {100 * result.iou[c]:.0f}" for c in result.present))
    print(f"{config.weights}: mIoU of the classes present {100 * result.miou_present:.1f}")
    return 100 * result.miou_present


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("root", type=Path)
    parser.add_argument("--model", default="sam-tiny", help="architecture, for random weights")
    parser.add_argument("--train", default="00,01")
    parser.add_argument("--test", default="08")
    parser.add_argument("--crop", type=int, nargs=2, default=(160, 608))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--results", type=Path, help="CSV file to append the score to")
    args = parser.parse_args()
    image = ImageConfig(crop=tuple(args.crop))
    miou = probe(TeacherConfig(args.weights, args.model), args.root, args.train, args.test, image, args.steps)
    if args.results:
        append_row(args.results, {"model": args.weights, "miou": f"{miou:.1f}"})

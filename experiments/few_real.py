"""Few labels on real frames: 1 % of the labelled points, with and without labels that are lifted from images.

    python -m experiments.few_real ROOT --out few-real [--frames 0-2] [--others 3-4] [--seeds 0,1,2]

ROOT holds SemanticKITTI's sequence 00 with ``labels`` for the frames and ``labels_partial`` for the others. The
student, with stage heads of its own and no teacher, is fitted to the frames with 1 % of their labelled points: once as
they are, once together with the labels that the watershed's pseudo-labels give to the points that the cameras see. It
is scored on the labels that were hidden, of the same scans, and on the partial labels of the other frames.

Three scans and their neighbours: it shows that the labels are worth having on real data, nothing about generalisation.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from elite.data.fraction import shown_labels
from elite.datasets import SemanticKITTI
from elite.environment import describe
from elite.inference import Segmenter
from elite.labels import NUM_CLASSES
from elite.metrics import confusion_matrix, score

SEQUENCE, SHARE = "00", 0.01
FIT = {
    "data.sequences": SEQUENCE,
    "data.val_sequences": "none",
    "data.batch_size": 1,
    "augment.enabled": "false",
    "distill.student_heads": 1.0,
    "distill.voxel_majority": "labelled",
    "steps": 300,
    "accelerator": "cpu",
}


def linked(root: Path, out: Path) -> Path:
    """A data set that shares ROOT's files, so that nothing is written beside them."""
    source, target = root.resolve() / "sequences" / SEQUENCE, out / "root" / "sequences" / SEQUENCE
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if not (target / path.name).exists():
            (target / path.name).symlink_to(path)
    return out / "root"


def elite(command: str) -> None:
    subprocess.run([sys.executable, "-m", "elite", *command.split()], check=True)


def run(root: Path, out: Path, args: argparse.Namespace, row: str, seed: int) -> dict[str, float]:
    """Scores of one fit, in %; kept in a JSON file and not made again."""
    kept = out / f"{row}-{seed}.json"
    if kept.exists():
        return json.loads(kept.read_text())["scores"]
    told = f"--label-fraction {SHARE} --label-unit points --seed {seed} --frames {args.frames} --sequences {SEQUENCE}"
    settings = FIT | {"data.frames": args.frames, "data.root": root, "seed": seed, "out": out / f"{row}-{seed}"}
    if row == "lifted":
        elite(f"pseudo-label {root} {told} --cameras {args.cameras} --folder few{seed} --lift true")
        settings |= {"data.labels": f"labels_few{seed}"}
    else:
        settings |= {"data.label_fraction": SHARE, "data.label_unit": "points"}
    options = " ".join(f"--{key}={value}" for key, value in settings.items())
    elite(f"train --config semantickitti-student --overwrite true {options}")
    scores = scored(root, out / f"{row}-{seed}" / "checkpoints" / "last.ckpt", args, seed)
    kept.write_text(json.dumps({"row": row, "seed": seed, "scores": scores, "versions": describe()}, indent=1))
    return scores


def scored(root: Path, checkpoint: Path, args: argparse.Namespace, seed: int) -> dict[str, float]:
    segmenter, found = Segmenter.load(checkpoint, "cpu"), {}
    parts = {"hidden labels": (args.frames, "labels"), "other frames": (args.others, "labels_partial")}
    for part, (frames, folder) in parts.items():
        confusion = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
        for frame in SemanticKITTI(root, SEQUENCE, frames=frames, labels=folder, cameras=()):
            assert frame.labels is not None
            shown = shown_labels(frame.labels, frame.id, SHARE, seed) if part == "hidden labels" else 0
            truth = np.where(shown == 0, frame.labels, 0)
            confusion += confusion_matrix(segmenter.segment(frame.scan).labels, truth)
        result = score(confusion)
        found |= {f"{part}, mIoU": 100 * result.miou_present, f"{part}, accuracy": 100 * result.accuracy}
    return found


def main(args: argparse.Namespace) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    root, lines = linked(args.root, args.out.resolve()), {}
    for seed in map(int, args.seeds.split(",")):
        for row in ("one percent", "lifted"):
            scores = run(root, args.out.resolve(), args, row.replace(" ", "-"), seed)
            lines.setdefault(row, []).append(scores)
    names = list(lines["lifted"][0])
    print(f"| labels | seeds | {' | '.join(names)} |\n" + "|---" * (len(names) + 2) + "|")
    for row, runs in lines.items():
        cells = [[scores[name] for scores in runs] for name in names]
        text = (f"{fmean(c):.1f} ± {stdev(c) if len(c) > 1 else 0:.1f}" for c in cells)
        print(f"| {row} | {len(runs)} | {' | '.join(text)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path, default=Path("few-real"))
    parser.add_argument("--frames", default="0-2")
    parser.add_argument("--others", default="3-4")
    parser.add_argument("--cameras", default="image_3")
    parser.add_argument("--seeds", default="0,1,2")
    main(parser.parse_args())

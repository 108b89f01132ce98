"""Demo: render streets, train a teacher and a student, score another street, and write a report.

    python examples/demo.py --out demo          # ``make demo``; about six minutes on two CPU cores

Each step is a command for a shell. OUT gets drive/ (data set with pseudo-labels of its images), images/ (other
streets), teacher/ (small foundation model), run/ (checkpoints, curves, report), predictions/ and submission.zip.
"""

import argparse
import json
import shlex
import time
from pathlib import Path

from elite.cli import main as elite

SIZE = "--image-width 620 --image-height 188"


def run(command: str) -> None:
    print(f"\n$ elite {command}", flush=True)
    if status := elite(shlex.split(command)):
        raise SystemExit(f"elite {command}: expected exit status 0, found {status}.")


def save_untrained(run_folder: Path) -> Path:
    """Save the student with its initial weights, for a comparison before and after training."""
    import torch
    import yaml

    from elite.config import StudentConfig, from_plain
    from elite.student import SPVCNN, save_student

    settings = yaml.safe_load((run_folder / "config.yaml").read_text())
    torch.manual_seed(settings["seed"])
    path = run_folder / "untrained.safetensors"
    save_student(SPVCNN.from_config(from_plain(StudentConfig, settings["student"])), path)
    return path


def render(drive: Path, images: Path, seed: int) -> None:
    run(f"synth -o {drive} --seed {seed} --sequences 4 --frames 30 --test-frames 1 --beams 32 --azimuths 512 {SIZE}")
    run(f"check {drive}")
    run(f"synth -o {images} --seed {seed + 1000} --sequences 4 --frames 10 --beams 8 --azimuths 64 {SIZE}")


def train(drive: Path, images: Path, teacher: Path, run_folder: Path, seed: int) -> None:
    run(f"train-teacher {images} -o {teacher} --config synthetic-teacher --seed {seed} --steps 300 --overwrite")
    run(f"pseudo-label {drive} --sequences train")
    dense = "--data.dense-labels image_2_pseudo --distill.dense-stride 4"
    length = f"--seed {seed} --steps 350 --val-every 350 --overwrite"
    run(f"train {drive} -o {run_folder} --config synthetic --teacher.weights {teacher} {dense} {length}")


def evaluate(drive: Path, run_folder: Path) -> None:
    untrained, best = save_untrained(run_folder), run_folder / "checkpoints" / "best.ckpt"
    run(f"evaluate {untrained} {drive} --json {run_folder / 'evaluation_before.json'}")
    run(f"evaluate {best} {drive} --json {run_folder / 'evaluation.json'}")
    pseudo_labels = run_folder / "pseudo_label_score.json"
    run(f"score-pseudo-labels {drive} --sequences 08 --frames 0,15 --json {pseudo_labels}")
    run(f"bench latency {best} {drive} --sequences 08 --rounds 2 --json {run_folder / 'latency.json'}")


def main(out: Path, seed: int) -> None:
    start = time.monotonic()
    drive, run_folder, predictions = out / "drive", out / "run", out / "predictions"
    render(drive, out / "images", seed)
    train(drive, out / "images", out / "teacher", run_folder, seed)
    evaluate(drive, run_folder)
    run(f"predict {run_folder / 'checkpoints' / 'best.ckpt'} {drive} -o {predictions} --sequences test")
    run(f"submit {predictions} {drive} -o {out / 'submission.zip'} --partial")
    run(f"report {run_folder}")
    before, after = (
        json.loads((run_folder / name).read_text()) for name in ("evaluation_before.json", "evaluation.json")
    )
    print(
        f"\nmIoU on sequence 08, a street that was not trained on ({len(after['present'])} classes present): "
        f"{before['miou_present']:.3f} before training, {after['miou_present']:.3f} after.\n"
        f"Time: {time.monotonic() - start:.0f} s. Report: {run_folder / 'report' / 'index.html'}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    main(args.out, args.seed)

"""The whole job in one go, on a street that is rendered for it. What ``make demo`` runs.

Each step is the command that a user would type; run them by hand on your own data. Everything lands in --out:
drive/ (the data set, with pseudo-labels of its images), images/ (other streets), teacher/ (the small foundation model
trained on these), run/ (checkpoints, curves, report), predictions/, submission.zip.
"""

import argparse
import json
import shlex
import time
from pathlib import Path

from elite.cli import main as elite


def run(command: str) -> None:
    print(f"\n$ elite {command}", flush=True)
    status = elite(shlex.split(command))
    if status:
        raise SystemExit(f"'elite {command}' ended with status {status}")


def save_untrained(run_folder: Path) -> Path:
    """The student as it was before its first step, so that before and after can be compared."""
    import torch
    import yaml

    from elite.config import StudentConfig, from_plain
    from elite.student import SPVCNN, save_student

    settings = yaml.safe_load((run_folder / "config.yaml").read_text())
    torch.manual_seed(settings["seed"])
    path = run_folder / "untrained.safetensors"
    save_student(SPVCNN.from_config(from_plain(StudentConfig, settings["student"])), path)
    return path


SIZE = "--image-width 620 --image-height 188"


def main(out: Path, seed: int) -> None:
    began = time.monotonic()
    drive, run_folder, predictions = out / "drive", out / "run", out / "predictions"
    images, teacher = out / "images", out / "teacher"
    run(f"synth {drive} --seed {seed} --sequences 4 --frames 30 --test-frames 1 --beams 32 --azimuths 512 {SIZE}")
    run(f"check-data {drive}")
    run(f"synth {images} --seed {seed + 1000} --sequences 4 --frames 10 --beams 8 --azimuths 64 {SIZE}")
    run(f"train-teacher --config synthetic-teacher --data.root {images} --out {teacher} --seed {seed} --overwrite true "
        "--steps 300")  # fmt: skip
    run(f"pseudo-label {drive} --sequences train")
    run(f"train --config synthetic --data.root {drive} --teacher.weights {teacher} --out {run_folder} --seed {seed} "
        "--overwrite true --data.dense_labels image_2_pseudo --distill.dense_stride 4 "
        "--steps 350 --val_every 350")  # fmt: skip
    untrained, best = save_untrained(run_folder), run_folder / "checkpoints" / "best.ckpt"
    run(f"evaluate {untrained} {drive} --json {run_folder / 'evaluation_before.json'}")
    run(f"evaluate {best} {drive} --json {run_folder / 'evaluation.json'}")
    run(f"pseudo-label-score {drive} --sequences 08 --frames 0,15 --json {run_folder / 'pseudo_label_score.json'}")
    run(f"bench latency {best} {drive} --sequences 08 --rounds 2 --json {run_folder / 'latency.json'}")
    run(f"predict {best} {drive} --sequences test -o {predictions}")
    run(f"submit {predictions} --data {drive} -o {out / 'submission.zip'} --partial")
    run(f"report {run_folder}")
    before, after = (
        json.loads((run_folder / name).read_text()) for name in ("evaluation_before.json", "evaluation.json")
    )
    print(
        f"\nmIoU over the {len(after['present'])} classes present on sequence 08, a street not trained on: "
        f"{before['miou_present']:.3f} before training, {after['miou_present']:.3f} after "
        f"({time.monotonic() - began:.0f} s in all)\nopen {run_folder / 'report' / 'index.html'}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    main(args.out, args.seed)

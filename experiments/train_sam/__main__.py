"""Train a small promptable SAM on the dense labels of a rendered drive, on one thread in half an hour.

    elite synth -o streets --seed 5000 --sequences 30 --frames 6 --beams 64 --azimuths 1024
    OMP_NUM_THREADS=1 python -m experiments.train_sam streets small-sam --minutes 30

Published SAMs take seconds per image. This one is small and specialised in rendered streets, so that the way from LiDAR
labels to pseudo-labels can be measured anywhere. It is trained with the prompts of the proposer: seeds of a segment and
the mask prompt of all seeds. The target is the part of the dense labels under the seeds of the segment. The loss is
SAM's: cross entropy and Dice of the best of three masks, and the predicted IoU of all three.

OUT gets a transformers folder and training.json with losses and the mask IoU on sequence 08, which is held out.
"""

import argparse
from pathlib import Path

import torch

from elite.datasets.semantickitti import SemanticKITTI
from elite.files import make_folder, write_json
from elite.pseudo_labels.proposers.sam import Sam
from experiments.train_sam.examples import CAMERA, read_examples
from experiments.train_sam.network import small_sam
from experiments.train_sam.scoring import evaluate
from experiments.train_sam.training import train

VALID = "08"


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
    print(f"{size / 1e6:.2f} M parameters, {steps} steps. Scores on {VALID}: {score}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="rendered drive with dense labels")
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--prompts", type=int, default=24, help="prompts per step, all in one image (default: 24)")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))

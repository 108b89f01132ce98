"""Data sets and settings that all rows share, in three sizes."""

from dataclasses import dataclass
from typing import Any

Settings = dict[str, Any]

HALF_IMAGE = "--image-width 620 --image-height 188"
FULL_IMAGE = "--image-width 1241 --image-height 376"
HALF_LIDAR = f"--beams 32 --azimuths 512 {HALF_IMAGE}"
FAST_LIDAR = f"--beams 16 --azimuths 128 {HALF_IMAGE}"
BOTH_CAMERAS = '--cameras ["image_2","image_3"]'


@dataclass(frozen=True)
class Size:
    """Data, length and configuration of the runs.

    Attributes:
        drive: options of ``elite synth`` for the training drive.
        many: the same for the drive of the label budgets, with at least 1000 training scans.
        many_sequences: training sequences of the latter, all except 08.
        streets: further drives whose sequence 08 is scored, in addition to that of the training drive.
        images: image set of the foundation models: other streets, weathers and both cameras.
        teacher_steps: training steps of the foundation models.
        config, settings: configuration of each run.
        batch: scans per step that these give.
    """

    drive: str
    many: str
    many_sequences: str
    streets: tuple[str, ...]
    images: str
    teacher_steps: int
    config: str
    settings: Settings
    batch: int


SMALL = Size(
    drive=f"--seed 0 --sequences 6 --frames 40 {HALF_LIDAR}",
    many=f"--seed 7 --sequences 25 --frames 40 {HALF_LIDAR}",
    many_sequences="00-07,09-10,22-36",
    streets=tuple(f"--seed {seed} --sequences 1 --frames 20 {HALF_LIDAR}" for seed in (101, 102)),
    images=f"--seed 1000 --sequences 88 --frames 6 --beams 4 --azimuths 64 {HALF_IMAGE} {BOTH_CAMERAS}",
    teacher_steps=5000,
    config="synthetic",
    settings={
        "steps": 600,
        "val_every": 600,
        "data.workers": 0,
        "distill.stages": "[0,1,2]",  # without the coarsest, whose voxels are 3.2 m wide
        "distill.student_heads": 0.5,  # chosen on held-out streets without a teacher
    },
    batch=2,
)

FULL = Size(  # for a GPU
    drive=f"--seed 0 --sequences 10 --frames 100 {FULL_IMAGE}",
    many=f"--seed 7 --sequences 25 --frames 40 {FULL_IMAGE}",
    many_sequences="00-07,09-10,22-36",
    streets=tuple(f"--seed {seed} --sequences 1 --frames 50 {FULL_IMAGE}" for seed in (101, 102)),
    images=f"--seed 1000 --sequences 88 --frames 40 --beams 4 --azimuths 64 {FULL_IMAGE} {BOTH_CAMERAS}",
    teacher_steps=40_000,
    config="semantickitti",
    settings={"steps": 8000, "val_every": 8000, "data.batch_size": 4, "loss.class_weights": "data"},
    batch=4,
)

TINY = Size(  # runs in minutes; its scores mean nothing
    drive=f"--sequences 1 --frames 3 {FAST_LIDAR}",
    many=f"--seed 7 --sequences 2 --frames 2 {FAST_LIDAR}",
    many_sequences="00-01",
    streets=(f"--seed 101 --sequences 1 --frames 1 {FAST_LIDAR}",),
    images=f"--seed 1000 --sequences 1 --frames 4 --beams 4 --azimuths 64 {HALF_IMAGE}",
    teacher_steps=2,
    config="synthetic",
    settings={"steps": 12, "val_every": 12, "data.workers": 0},
    batch=2,
)

SIZES = {"small": SMALL, "full": FULL, "tiny": TINY}

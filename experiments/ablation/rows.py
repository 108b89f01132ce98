"""What the ablation compares: the data, the frozen settings, and its rows, block by block. Nothing here runs anything.

Every setting is the same for every row but for what the row names. The weight of the divergence, the stages that have
heads and the weight of these were changed after a first table (docs/experiments.md tells how); all else was fixed
before the rows were run. Numbers of scans and streets in titles are those of the small setting.
"""

from dataclasses import dataclass, field, replace
from typing import Any

Settings = dict[str, Any]

IMAGE = "--image-width 620 --image-height 188"
LIDAR = f"--beams 32 --azimuths 512 {IMAGE}"


@dataclass(frozen=True)
class Size:
    """How large everything is.

    Attributes:
        drive, many: rendering of the training drive, and of the one for few labels (at least 1000 training scans).
        many_sequences: what is trained on of the latter: all but 08.
        streets: renderings whose sequence 08 is scored, beside that of the training drive.
        images: rendering of the broad image set: other streets, weathers and both cameras.
        pretraining: steps of the foundation models on it.
        config, settings: of every run.
        batch: scans a step that these give.
    """

    drive: str
    many: str
    many_sequences: str
    streets: tuple[str, ...]
    images: str
    pretraining: int
    config: str
    settings: Settings
    batch: int


SMALL = Size(
    drive=f"--seed 0 --sequences 6 --frames 40 {LIDAR}",
    many=f"--seed 7 --sequences 25 --frames 40 {LIDAR}",
    many_sequences="00-07,09-10,22-36",
    streets=tuple(f"--seed {seed} --sequences 1 --frames 20 {LIDAR}" for seed in (101, 102)),
    images=f'--seed 1000 --sequences 88 --frames 6 --beams 4 --azimuths 64 {IMAGE} --cameras ["image_2","image_3"]',
    pretraining=5000,
    config="synthetic",
    settings={
        "steps": 600,
        "val_every": 600,
        "data.workers": 0,
        "distill.stages": "[0,1,2]",  # voxels of the coarsest are 3.2 m wide (voxel_labels.py)
        "distill.student_heads": 0.5,  # of 0.1 to 2 the best on left-out streets, no teacher
    },
    batch=2,
)
WHOLE = "--image-width 1241 --image-height 376"
FULL = Size(  # for a GPU
    drive=f"--seed 0 --sequences 10 --frames 100 {WHOLE}",
    many=f"--seed 7 --sequences 25 --frames 40 {WHOLE}",
    many_sequences="00-07,09-10,22-36",
    streets=tuple(f"--seed {seed} --sequences 1 --frames 50 {WHOLE}" for seed in (101, 102)),
    images=f'--seed 1000 --sequences 88 --frames 40 --beams 4 --azimuths 64 {WHOLE} --cameras ["image_2","image_3"]',
    pretraining=40_000,
    config="semantickitti",
    settings={"steps": 8000, "val_every": 8000, "data.batch_size": 4, "loss.class_weights": "data"},
    batch=4,
)

TINY = Size(  # to see in minutes that everything runs; its scores mean nothing
    drive=f"--sequences 1 --frames 3 --beams 16 --azimuths 128 {IMAGE}",
    many=f"--seed 7 --sequences 2 --frames 2 --beams 16 --azimuths 128 {IMAGE}",
    many_sequences="00-01",
    streets=(f"--seed 101 --sequences 1 --frames 1 --beams 16 --azimuths 128 {IMAGE}",),
    images=f"--seed 1000 --sequences 1 --frames 4 --beams 4 --azimuths 64 {IMAGE}",
    pretraining=2,
    config="synthetic",
    settings={"steps": 12, "val_every": 12, "data.workers": 0},
    batch=2,
)
SIZES = {"small": SMALL, "full": FULL, "tiny": TINY}

# Chosen on a street of the training drive (docs/experiments.md). The published weight of the divergence (0.05) does
# less in runs this short; the teacher's gradient, clipped apart, does not shorten the student's step.
TAUGHT: Settings = {"distill.kl": 0.2, "distill.logits": 2.0, "optim.clip_together": "false"}
STRONG: Settings = {"distill.kl": 2.0, "distill.logits": 20.0}
BROAD, NAMED = "broad", "broad-classes"  # foundation models: of segments without names, and of class labels


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        title: what is trained.
        settings: beyond those of all rows.
        teacher: which foundation model: BROAD, NAMED, a word for ``teacher.weights`` (none, random).
        drive: the data set, a folder of the output.
        larger: how many times the batch of the other rows.
        against: BLOCK-ROW of the student that was given the same labels and no image; gains are over its run of the
            same seed. A row that names itself has no gain.
    """

    title: str
    settings: Settings = field(default_factory=dict)
    teacher: str = BROAD
    drive: str = "drive"
    larger: int = 1
    against: str = "core-heads"


def measured_against(plain: str, rows: dict[str, Row]) -> dict[str, Row]:
    return {name: replace(row, against=plain) for name, row in rows.items()}


# With SGD the published scale (1 / rank) leaves low-rank updates where they start. Of 12 and 60 (LoRA) and of 12, 144
# and 600 (AdaLoRA, 12 as good as 144) these gave the best teachers on a street of the training drive
# (docs/experiments.md).
ALPHA = {"lora": 12, "adalora": 144}


def adapted(method: str) -> Settings:
    scale = {"teacher.adapter.alpha": ALPHA[method]} if method in ALPHA else {}
    return TAUGHT | {"teacher.adapter.method": method} | scale


PSEUDO: Settings = {"data.dense_labels": "image_2_pseudo", "distill.dense_stride": 4}

CORE = {
    "alone": Row("student alone", {"distill.student_heads": 0.0}, "none"),
    "heads": Row("student, own stage heads, no image", teacher="none"),
    "weak": Row(
        "weak teacher: a CNN that saw only the drive",
        adapted("full") | {"teacher.model": "resnet-tiny"},
        "random",
    ),
    "frozen": Row("foundation model, frozen", adapted("frozen")),
    "lora": Row("foundation model with LoRA", adapted("lora")),
    "adalora": Row("foundation model with AdaLoRA", adapted("adalora")),
    "pseudo": Row("AdaLoRA and pseudo-labels (watershed)", adapted("adalora") | PSEUDO),
}
NAMED_MODE = adapted("frozen") | {"teacher.heads": "pretrained", "optim.teacher_lr": 0.01}
STAGES = {f"stage{i}": Row(f"only stage {i}", adapted("adalora") | {"distill.stages": f"[{i}]"}) for i in range(4)}
# Beside CORE's "adalora". Of weight 0 nothing of the teacher reaches the student: that is CORE's "heads", but for their
# random start.
KL = {
    "published": Row("divergence 0.05 as published", adapted("adalora") | {"distill.kl": 0.05, "distill.logits": 0.0}),
    "strong": Row("divergence 2, logits 20", adapted("adalora") | STRONG),
    "kl8": Row("divergence 8, logits 80", adapted("adalora") | {"distill.kl": 8.0, "distill.logits": 80.0}),
}
SMALL_SAM = adapted("adalora") | PSEUDO | {"data.dense_labels": "image_2_sam"}
SAM = {"sam": Row("AdaLoRA, with pseudo-labels (small SAM)", SMALL_SAM)}
BOTH = adapted("adalora") | PSEUDO | {"distill.dense_pairs": "true"}
PAIRS = {"pairs": Row("AdaLoRA, pseudo-labels (watershed) and the labels of points", BOTH)}

SHARES: dict[str, Settings] = {
    "full": {},
    "scans1": {"data.label_fraction": 0.01, "data.label_unit": "scans"},
    "points1": {"data.label_fraction": 0.01, "data.label_unit": "points", "distill.voxel_majority": "labelled"},
    "points01": {"data.label_fraction": 0.001, "data.label_unit": "points", "distill.voxel_majority": "labelled"},
}
SHARE_TITLES = {
    "full": "all labels",
    "scans1": "1 % of the scans",
    "points1": "1 % of the points",
    "points01": "0.1 % of the points",
}

THREE = SHARES["scans1"]  # of the drive's 240 scans; batches as few() has them
THREE_OF_240 = {
    "three-heads": Row("3 of 240 scans: no teacher", THREE, "none"),
    "three-classes": Row("3 of 240 scans: named mode", THREE | NAMED_MODE, NAMED, larger=2),
    "three-strong": Row(
        "3 of 240 scans: named mode, divergence 2, logits 20", THREE | NAMED_MODE | STRONG, NAMED, larger=2
    ),
}
WITH_NAMES = {"classes": Row("named mode: pre-trained on class labels, frozen", NAMED_MODE, NAMED)}
WITH_NAMES |= measured_against("named-three-heads", THREE_OF_240)

OWN: Settings = {"self_training.weight": 1.0, "optim.average": 0.98}


def few(share: str) -> dict[str, Row]:
    """Rows of one share of the labels. Which points show theirs depends on the seed, which scans do not; pseudo-labels
    are made of the same.

    Lifted labels are those that points have or get from the pseudo-labels of their pixels: points whose scan shows all
    labels get none. Every row keeps an average of its weights, as self-training does. Where half of a batch are scans
    without labels, it has twice as many scans: every row sees as many labelled ones, self-training without a teacher a
    fifth more, as it begins with labelled scans alone.
    """
    title, hidden = SHARE_TITLES[share], SHARES[share]
    average: Settings = {"optim.average": OWN["optim.average"]}
    twice = 2 if share == "scans1" else 1
    rows = {
        "heads": Row(f"{title}: no teacher", hidden | average, "none", "many"),
        "taught": Row(f"{title}: teacher with LoRA", hidden | average | adapted("lora"), drive="many", larger=twice),
        "named": Row(f"{title}: teacher in named mode", hidden | average | NAMED_MODE, NAMED, "many", twice),
    }
    if share != "full":
        made = share + "_{seed}"
        dense = PSEUDO | {"data.dense_labels": f"image_2_{made}"}
        lifted = {"data.labels": f"labels_{made}", "distill.voxel_majority": "labelled"}
        taught = hidden | average | adapted("lora") | dense
        rows["pseudo"] = Row(f"{title}: teacher with LoRA, + pseudo-labels", taught, drive="many", larger=twice)
        strong = hidden | average | NAMED_MODE | STRONG
        rows["strong"] = Row(f"{title}: named mode, divergence 2, logits 20", strong, NAMED, "many", twice)
        rows["own"] = Row(f"{title}: no teacher, + self-training", hidden | OWN, "none", "many", twice)
        both = hidden | OWN | NAMED_MODE
        rows["named-own"] = Row(f"{title}: named mode, + self-training", both, NAMED, "many", twice)
    if hidden.get("data.label_unit") == "points":
        rows["lifted"] = Row(f"{title}: no teacher, lifted labels", average | lifted, "none", "many")
        rows["lifted-taught"] = Row(
            f"{title}: + lifted labels", average | adapted("lora") | dense | lifted, drive="many"
        )
    return measured_against(f"few-{share}-heads", {f"{share}-{name}": row for name, row in rows.items()})


# Three times the steps: in 600 they, and not the labels, are what a student lacks.
LONGER: Settings = {"steps": 1800, "val_every": 1800, "optim.average": 0.99}
LONG = {
    share: Row(f"{SHARE_TITLES[share]}: no teacher", SHARES[share] | LONGER, "none", "many", against=f"long-{share}")
    for share in SHARES
}
ONE_STRONG = SHARES["scans1"] | LONGER | NAMED_MODE | STRONG
LONG["scans1-strong"] = Row(
    "1 % of the scans: named mode, divergence 2, logits 20", ONE_STRONG, NAMED, "many", larger=2, against="long-scans1"
)
SIX_STREETS = {  # those of the core table
    "drive": Row("six streets, all labels: no teacher", LONGER, "none"),
    "drive-adalora": Row("six streets, all labels: AdaLoRA", LONGER | adapted("adalora")),
    "drive-classes": Row("six streets, all labels: named mode", LONGER | NAMED_MODE, NAMED),
}
LONG |= measured_against("long-drive", SIX_STREETS)

BLOCKS: dict[str, dict[str, Row]] = {
    "core": CORE,
    "stages": STAGES,
    "kl": KL,
    "named": WITH_NAMES,
    "sam": SAM,
    "pairs": PAIRS,
    "few": {name: row for share in SHARES for name, row in few(share).items()},
    "long": LONG,
}
THIN = ("bicycle", "motorcycle", "fence", "trunk", "pole", "traffic-sign")
RARE = ("bicycle", "motorcycle", "person", "bicyclist", "motorcyclist", "traffic-sign")  # < 0.1 % of KITTI's points

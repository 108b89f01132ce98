"""Rows of the ablation, block by block.

Settings that a row does not name are the same in all rows. The weight of the divergence, the stages with heads and the
weight of these heads were chosen on held-out streets (docs/experiments/held-out-selection.md); everything else was
fixed before the first run. Numbers of scans and streets in titles are those of the small size.
"""

from dataclasses import dataclass, field, replace

from experiments.ablation.sizes import Settings

SEGMENT_MODEL = "foundation"  # folder of the foundation model that was trained on segments without class names
CLASS_MODEL = "foundation-classes"  # ... and on class labels

# The published weight of the divergence (0.05) has little effect in runs this short. The teacher's gradient is clipped
# separately, or it would shorten the student's step.
DISTILLATION: Settings = {"distill.kl": 0.2, "distill.logits": 2.0, "optim.clip_together": "false"}
STRONG: Settings = {"distill.kl": 2.0, "distill.logits": 20.0}
STRONGEST: Settings = {"distill.kl": 8.0, "distill.logits": 80.0}
PUBLISHED: Settings = {"distill.kl": 0.05, "distill.logits": 0.0}


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        title: description of the trained model.
        settings: options in addition to those of all rows.
        teacher: SEGMENT_MODEL, CLASS_MODEL, or a value of ``teacher.weights`` (none, random).
        drive: data set, a folder of the output.
        batch_factor: batch size relative to the other rows.
        baseline: BLOCK-ROW of the student with the same labels and no image; gains are over its run with the same
            seed. A row that is its own baseline has no gain.
    """

    title: str
    settings: Settings = field(default_factory=dict)
    teacher: str = SEGMENT_MODEL
    drive: str = "drive"
    batch_factor: int = 1
    baseline: str = "core-stage-heads"


Rows = dict[str, Row]


def with_baseline(baseline: str, rows: Rows) -> Rows:
    return {name: replace(row, baseline=baseline) for name, row in rows.items()}


# With SGD, low-rank updates hardly move at the published scale (1 / rank). These values gave the best teachers on a
# street of the training drive (docs/experiments/low-rank-updates.md).
ALPHA = {"lora": 12, "adalora": 144}


def adapted(method: str) -> Settings:
    scale = {"teacher.adapter.alpha": ALPHA[method]} if method in ALPHA else {}
    return DISTILLATION | {"teacher.adapter.method": method} | scale


PSEUDO_LABELS: Settings = {"data.dense_labels": "image_2_pseudo", "distill.dense_stride": 4}
SAM_PSEUDO_LABELS: Settings = PSEUDO_LABELS | {"data.dense_labels": "image_2_sam"}
CLASS_TEACHER: Settings = adapted("frozen") | {"teacher.heads": "pretrained", "optim.teacher_lr": 0.01}
WEAK_TEACHER: Settings = adapted("full") | {"teacher.model": "resnet-tiny"}

CORE: Rows = {
    "no-stage-heads": Row("student without stage heads", {"distill.student_heads": 0.0}, "none"),
    "stage-heads": Row("student with stage heads, no teacher", teacher="none"),
    "weak-teacher": Row("weak teacher: a CNN trained on the drive only", WEAK_TEACHER, "random"),
    "frozen": Row("foundation model, frozen", adapted("frozen")),
    "lora": Row("foundation model, LoRA", adapted("lora")),
    "adalora": Row("foundation model, AdaLoRA", adapted("adalora")),
    "adalora-pseudo": Row("AdaLoRA, pseudo-labels (watershed)", adapted("adalora") | PSEUDO_LABELS),
}

STAGES: Rows = {
    f"stage-{i}": Row(f"only stage {i}", adapted("adalora") | {"distill.stages": f"[{i}]"}) for i in range(4)
}

# Between these lies "adalora" of the core block, with 0.2 and 2. At weight 0 nothing reaches the student, which makes
# the core block's "stage-heads" up to the random start.
DIVERGENCE: Rows = {
    "published": Row("divergence 0.05 as published", adapted("adalora") | PUBLISHED),
    "strong": Row("divergence 2, logits 20", adapted("adalora") | STRONG),
    "strongest": Row("divergence 8, logits 80", adapted("adalora") | STRONGEST),
}
SAM: Rows = {"sam": Row("AdaLoRA, pseudo-labels (small SAM)", adapted("adalora") | SAM_PSEUDO_LABELS)}
PAIRS: Rows = {
    "pairs": Row(
        "AdaLoRA, pseudo-labels (watershed) and point labels",
        adapted("adalora") | PSEUDO_LABELS | {"distill.dense_pairs": "true"},
    )
}

# ---- label budgets --------------------------------------------------------------------------------------------------

SHARES: dict[str, Settings] = {
    "all": {},
    "scans1": {"data.label_fraction": 0.01, "data.label_unit": "scans"},
    "points1": {"data.label_fraction": 0.01, "data.label_unit": "points", "distill.voxel_majority": "labelled"},
    "points01": {"data.label_fraction": 0.001, "data.label_unit": "points", "distill.voxel_majority": "labelled"},
}
SHARE_TITLES = {
    "all": "all labels",
    "scans1": "1 % of the scans",
    "points1": "1 % of the points",
    "points01": "0.1 % of the points",
}

THREE_SCANS = SHARES["scans1"]  # of the drive's 240
CLASS_NAMES: Rows = {"classes": Row("teacher with class names, frozen", CLASS_TEACHER, CLASS_MODEL)}
CLASS_NAMES |= with_baseline(
    "class-names-three-scans",
    {
        "three-scans": Row("3 of 240 scans: no teacher", THREE_SCANS, "none"),
        "three-scans-classes": Row(
            "3 of 240 scans: teacher with class names", THREE_SCANS | CLASS_TEACHER, CLASS_MODEL, batch_factor=2
        ),
        "three-scans-classes-strong": Row(
            "3 of 240 scans: teacher with class names, divergence 2, logits 20",
            THREE_SCANS | CLASS_TEACHER | STRONG,
            CLASS_MODEL,
            batch_factor=2,
        ),
    },
)

AVERAGE: Settings = {"optim.average": 0.98}
SELF_TRAINING: Settings = {"self_training.weight": 1.0} | AVERAGE


def label_budget(share: str) -> Rows:
    """Rows of one share of the labels.

    The labelled points depend on the seed, the labelled scans do not; pseudo-labels are made from the same labels. All
    rows average their weights, as self-training does. If half of a batch has no labels, the batch has twice as many
    scans: all rows process the same number of labelled scans (self-training without a teacher a fifth more, because it
    starts with labelled scans only).
    """
    hidden = SHARES[share]
    factor = 2 if share == "scans1" else 1
    rows = {
        "stage-heads": Row("no teacher", hidden | AVERAGE, "none"),
        "lora": Row("teacher with LoRA", hidden | AVERAGE | adapted("lora"), batch_factor=factor),
        "classes": Row("teacher with class names", hidden | AVERAGE | CLASS_TEACHER, CLASS_MODEL, batch_factor=factor),
    }
    if share != "all":
        rows |= _with_unlabelled(share, factor)
    if hidden.get("data.label_unit") == "points":
        rows |= _with_lifted_labels(share)
    named = {
        f"{share}-{name}": replace(row, title=f"{SHARE_TITLES[share]}: {row.title}", drive="many")
        for name, row in rows.items()
    }
    return with_baseline(f"label-budget-{share}-stage-heads", named)


def _with_unlabelled(share: str, factor: int) -> Rows:
    hidden = SHARES[share]
    lora = hidden | AVERAGE | adapted("lora") | _pseudo_labels_of(share)
    return {
        "lora-pseudo": Row("teacher with LoRA, pseudo-labels", lora, batch_factor=factor),
        "classes-strong": Row(
            "teacher with class names, divergence 2, logits 20",
            hidden | AVERAGE | CLASS_TEACHER | STRONG,
            CLASS_MODEL,
            batch_factor=factor,
        ),
        "self-training": Row("no teacher, self-training", hidden | SELF_TRAINING, "none", batch_factor=factor),
        "classes-self-training": Row(
            "teacher with class names, self-training",
            hidden | SELF_TRAINING | CLASS_TEACHER,
            CLASS_MODEL,
            batch_factor=factor,
        ),
    }


def _with_lifted_labels(share: str) -> Rows:
    """Labels of points that have one or get one from the pseudo-label of their pixel."""
    lifted = AVERAGE | {"data.labels": f"labels_{share}_{{seed}}", "distill.voxel_majority": "labelled"}
    return {
        "lifted": Row("no teacher, lifted labels", lifted, "none"),
        "lora-lifted": Row(
            "teacher with LoRA, pseudo-labels, lifted labels", adapted("lora") | _pseudo_labels_of(share) | lifted
        ),
    }


def _pseudo_labels_of(share: str) -> Settings:
    return PSEUDO_LABELS | {"data.dense_labels": f"image_2_{share}_{{seed}}"}


# ---- three times the steps ------------------------------------------------------------------------------------------

LONGER: Settings = {"steps": 1800, "val_every": 1800, "optim.average": 0.99}
LONG: Rows = {
    share: Row(f"{SHARE_TITLES[share]}: no teacher", SHARES[share] | LONGER, "none", "many", baseline=f"long-{share}")
    for share in SHARES
}
LONG["scans1-classes-strong"] = Row(
    "1 % of the scans: teacher with class names, divergence 2, logits 20",
    SHARES["scans1"] | LONGER | CLASS_TEACHER | STRONG,
    CLASS_MODEL,
    "many",
    batch_factor=2,
    baseline="long-scans1",
)
LONG |= with_baseline(
    "long-six-streets",
    {
        "six-streets": Row("six streets, all labels: no teacher", LONGER, "none"),
        "six-streets-adalora": Row("six streets, all labels: AdaLoRA", LONGER | adapted("adalora")),
        "six-streets-classes": Row(
            "six streets, all labels: teacher with class names", LONGER | CLASS_TEACHER, CLASS_MODEL
        ),
    },
)

BLOCKS: dict[str, Rows] = {
    "core": CORE,
    "stages": STAGES,
    "divergence": DIVERGENCE,
    "class-names": CLASS_NAMES,
    "sam": SAM,
    "pairs": PAIRS,
    "label-budget": {name: row for share in SHARES for name, row in label_budget(share).items()},
    "long": LONG,
}

"""Tables of docs/experiments/, by the names that the pages use."""

from collections.abc import Callable
from functools import partial

from experiments.tables import Line, comparisons, pivot, read_rows, rows_table, runs_table

BASELINE = "core-stage-heads"
STUDENT = Line("student with stage heads, no teacher", BASELINE)
FIRST_SEEDS, LAST_SEEDS = (0, 1, 2), (6, 7, 8)
FULL_COLUMNS = ("mIoU", "in view", "gain", "gain in view", "thin", "rare", "teacher", "trained, k", "s/step")
SCORES = ("mIoU", "in view", "gain", "gain in view", "thin", "rare", "teacher")

CORE = (
    Line("student without stage heads", "core-no-stage-heads", BASELINE),
    STUDENT,
    Line("weak teacher: a CNN trained on the drive only", "core-weak-teacher", BASELINE),
    Line("foundation model, frozen", "core-frozen", BASELINE),
    Line("foundation model, LoRA", "core-lora", BASELINE),
    Line("foundation model, AdaLoRA", "core-adalora", BASELINE),
    Line("AdaLoRA, pseudo-labels (watershed)", "core-adalora-pseudo", BASELINE),
)
CORE_COMPARISONS = (
    Line("stage heads over no stage heads", BASELINE, "core-no-stage-heads"),
    Line("weak teacher over no teacher", "core-weak-teacher", BASELINE),
    Line("frozen over no teacher", "core-frozen", BASELINE),
    Line("LoRA over no teacher", "core-lora", BASELINE),
    Line("AdaLoRA over no teacher", "core-adalora", BASELINE),
    Line("AdaLoRA with pseudo-labels over no teacher", "core-adalora-pseudo", BASELINE),
    Line("AdaLoRA over frozen", "core-adalora", "core-frozen"),
    Line("LoRA over frozen", "core-lora", "core-frozen"),
    Line("AdaLoRA over LoRA", "core-adalora", "core-lora"),
    Line("AdaLoRA over weak teacher", "core-adalora", "core-weak-teacher"),
    Line("AdaLoRA with over without pseudo-labels", "core-adalora-pseudo", "core-adalora"),
)
FOUR_STAGES = (
    *(Line(line.label, line.runs, line.baseline, FIRST_SEEDS) for line in CORE),
    Line("AdaLoRA, pseudo-labels (small SAM)", "sam-sam", BASELINE, FIRST_SEEDS),
    Line("teacher with class names, frozen", "core-classes", BASELINE, FIRST_SEEDS),
)
STAGES = (
    *(Line(f"AdaLoRA, only stage {i}", f"stages-stage-{i}", BASELINE) for i in range(4)),
    Line("AdaLoRA, all four stages", "core-adalora", BASELINE, FIRST_SEEDS),
    Line("AdaLoRA, stages 0 to 2", "stages-0-2-adalora"),
    Line("no teacher, stages 0 to 2", "stages-0-2-stage-heads"),
)
STAGE_COMPARISONS = (
    Line("no teacher, stages 0 to 2 over all four", "stages-0-2-stage-heads", BASELINE, FIRST_SEEDS),
    Line("AdaLoRA over no teacher, stages 0 to 2", "stages-0-2-adalora", "stages-0-2-stage-heads"),
)
DIVERGENCE = (
    Line("0.05 / 0 (published)", "divergence-published", BASELINE, LAST_SEEDS),
    Line("0.2 / 2", "core-adalora", BASELINE, LAST_SEEDS),
    Line("2 / 20", "divergence-strong", BASELINE, LAST_SEEDS),
    Line("8 / 80", "divergence-strongest", BASELINE, LAST_SEEDS),
)
DIVERGENCE_FOUR_STAGES = (
    Line("0.05 / 0 (published)", "divergence-published", BASELINE, FIRST_SEEDS),
    Line("0.2 / 2", "core-adalora", BASELINE, FIRST_SEEDS),
    Line("2 / 20", "strong-divergence-adalora", BASELINE, FIRST_SEEDS),
    Line("8 / 80", "divergence-strongest", BASELINE, FIRST_SEEDS),
)
STRONG_FOUR_STAGES = tuple(
    Line(label, f"strong-divergence-{row}", BASELINE, FIRST_SEEDS)
    for label, row in (
        ("weak teacher", "weak-teacher"),
        ("frozen", "frozen"),
        ("LoRA", "lora"),
        ("AdaLoRA", "adalora"),
        ("AdaLoRA, pseudo-labels (watershed)", "adalora-pseudo"),
        ("teacher with class names", "classes"),
    )
)
NO_TEACHER, CLASS_NAMES = "no teacher", "teacher with class names"
THREE_SCANS = (
    Line("student with stage heads, no teacher", "class-names-three-scans"),
    Line(CLASS_NAMES, "class-names-three-scans-classes-strong", "class-names-three-scans"),
)
LABEL_BUDGET = (
    Line(f"all labels: {NO_TEACHER}", "label-budget-all-stage-heads"),
    *(
        Line(f"{share}: {teacher}", f"label-budget-{name}-{row}", baseline)
        for share, name in (
            ("1 % of the scans", "scans1"),
            ("1 % of the points", "points1"),
            ("0.1 % of the points", "points01"),
        )
        for teacher, row, baseline in (
            (NO_TEACHER, "stage-heads", ""),
            (CLASS_NAMES, "classes-strong", f"label-budget-{name}-stage-heads"),
        )
    ),
    Line(f"all labels, 1800 steps: {NO_TEACHER}", "long-all"),
    Line(f"1 % of the scans, 1800 steps: {NO_TEACHER}", "long-scans1"),
    Line(f"1 % of the scans, 1800 steps: {CLASS_NAMES}", "long-scans1-classes-strong", "long-scans1"),
)
LABEL_BUDGET_COMPARISONS = tuple(
    Line(f"{share}: {CLASS_NAMES} over none", f"label-budget-{name}-classes-strong", f"label-budget-{name}-stage-heads")
    for share, name in (
        ("1 % of the scans", "scans1"),
        ("1 % of the points", "points1"),
        ("0.1 % of the points", "points01"),
    )
)


def _occlusion(*, shares: bool) -> str:
    rows = [row for row in read_rows("occlusion") if row["rule"].endswith("of the gap") == shares]
    return pivot(rows, "scans", "rule", ["precision", "recall"], "scans and images")


def _four_stages(share: str, name: str, rows: tuple[str, ...]) -> list[Line]:
    titles = {
        "stage-heads": NO_TEACHER,
        "lora": "teacher with LoRA",
        "lora-pseudo": "teacher with LoRA, pseudo-labels",
        "lifted": "no teacher, lifted labels",
        "lora-lifted": "teacher with LoRA, pseudo-labels, lifted labels",
    }
    baseline = f"label-budget-{name}-stage-heads"
    return [
        Line(f"{share}: {titles[row]}", f"label-budget-{name}-{row}", "" if row == "stage-heads" else baseline)
        for row in rows
    ]


LIFTED = ("stage-heads", "lora", "lora-pseudo", "lifted", "lora-lifted")
LABEL_BUDGET_FOUR_STAGES = (
    *_four_stages("all labels", "all", LIFTED[:2]),
    *_four_stages("1 % of the scans", "scans1", LIFTED[:3]),
    *_four_stages("1 % of the points", "points1", LIFTED),
    *_four_stages("0.1 % of the points", "points01", LIFTED),
    Line(f"all labels, 1800 steps: {NO_TEACHER}", "long-all"),
    Line(f"1 % of the scans, 1800 steps: {NO_TEACHER}", "long-scans1"),
)

MIOU_ACCURACY = ("miou", "accuracy")
FEW_REAL = {
    "labels": "labels",
    "n": "n",
    "hidden labels: mIoU": "hidden_miou",
    "accuracy": "hidden_accuracy",
    "frames 3-4: mIoU": "others_miou",
    "accuracy ": "others_accuracy",
}
PROBE = {
    "model": "model",
    "objective": "objective",
    "steps": "steps",
    "batch": "batch",
    "s": "seconds",
    "probe mIoU": "miou",
}
WEAK_TEACHERS = {
    "labels": "labels",
    "student": "student",
    "steps": "steps",
    "teacher": "setting",
    "mIoU": "miou",
    "in view": "miou_in_view",
    "teacher mIoU": "teacher_miou",
}
TEACHER_ACCURACY = {
    "labels": "labels",
    "model": "model",
    "n": "n",
    "mIoU": "miou",
    "in view": "miou_in_view",
    "gain": "gain",
    "gain in view": "gain_in_view",
    "teacher": "teacher_miou",
}
PSEUDO_LABEL_QUALITY = {
    "data": "data",
    "method": "method",
    "accuracy": "accuracy",
    "mIoU": "miou",
    "coverage, %": "coverage",
    "prompts": "prompts",
    "s/image": "seconds_per_image",
}
LIFTED_LABELS = {
    "labels": "labels",
    "lifted labels": "lifted",
    "correct, %": "correct",
    "mIoU": "miou",
    "accuracy": "accuracy",
}
SILENT_INPUTS = {
    "scans": "input",
    "without a setting": "miou",
    "message": "report",
    "setting": "setting",
    "with it": "set_miou",
}
VIEWS = {"views": "views", "n": "n", "softmax": "softmax", "logits": "logits", "released": "released"}


def _held_out(heads: str) -> str:
    return pivot(read_rows("held_out_selection", heads=heads), "setting", "street", ["miou"])


def _voxel_labels(scans: str) -> str:
    columns = {"stage": "stage", "voxels, m": "voxel_m", "mIoU": "miou", "accuracy": "accuracy"}
    return rows_table(read_rows("voxel_labels", scans=scans), columns)


def _tuning() -> str:
    rows = [row | {"setting": f"{row['labels']}: {row['method']}"} for row in read_rows("label_budget_tuning")]
    return pivot(rows, "setting", "steps", ["miou"])


def _complementarity(labels: str) -> str:
    return pivot(read_rows("complementarity", labels=labels), "prediction", "scans", MIOU_ACCURACY)


def _whole_file(results: str, columns: dict[str, str]) -> str:
    return rows_table(read_rows(results), columns)


TABLES: dict[str, Callable[[], str]] = {
    "core": partial(runs_table, "ablation", CORE, FULL_COLUMNS),
    "core-comparisons": partial(comparisons, "ablation", CORE_COMPARISONS),
    "core-comparisons-in-view": partial(comparisons, "ablation", CORE_COMPARISONS, "miou_in_view"),
    "complementarity": partial(_complementarity, "all"),
    "complementarity-three-scans": partial(_complementarity, "3 of 240 scans"),
    "three-scans": partial(runs_table, "ablation", THREE_SCANS, ("mIoU", "in view", "out of view", *SCORES[2:])),
    "three-scans-comparisons": partial(comparisons, "ablation", THREE_SCANS[1:]),
    "held-out-selection": partial(_held_out, "stages 0 to 2"),
    "held-out-selection-four-stages": partial(_held_out, "all four stages"),
    "stages": partial(runs_table, "ablation_four_stages", STAGES, ("mIoU", "in view", "gain", "gain in view", "thin")),
    "stages-comparisons": partial(comparisons, "ablation_four_stages", STAGE_COMPARISONS),
    "stages-comparisons-in-view": partial(comparisons, "ablation_four_stages", STAGE_COMPARISONS, "miou_in_view"),
    "voxel-labels-drive": partial(_voxel_labels, "training drive"),
    "voxel-labels-real": partial(_voxel_labels, "real scans"),
    "four-stages": partial(runs_table, "ablation_four_stages", FOUR_STAGES, FULL_COLUMNS),
    "teacher-pixels": lambda: pivot(read_rows("teacher_pixels"), "labels", "pixels", MIOU_ACCURACY),
    "pseudo-label-quality": partial(_whole_file, "pseudo_label_quality", PSEUDO_LABEL_QUALITY),
    "divergence": partial(runs_table, "ablation", DIVERGENCE, SCORES[:4], "divergence / logits"),
    "divergence-comparisons": partial(comparisons, "ablation", DIVERGENCE[:3]),
    "divergence-four-stages": partial(
        runs_table, "ablation_four_stages", DIVERGENCE_FOUR_STAGES, SCORES[:4], "divergence / logits"
    ),
    "strong-four-stages": partial(runs_table, "ablation_four_stages", STRONG_FOUR_STAGES, SCORES[:4]),
    "low-rank-updates": partial(
        _whole_file,
        "low_rank_updates",
        {"adapter": "adapter", "alpha": "alpha", "teacher mIoU": "teacher_miou"},
    ),
    "label-budget": partial(runs_table, "ablation", LABEL_BUDGET, SCORES),
    "label-budget-comparisons": partial(comparisons, "ablation", LABEL_BUDGET_COMPARISONS),
    "label-budget-four-stages": partial(runs_table, "ablation_four_stages", LABEL_BUDGET_FOUR_STAGES, SCORES),
    "label-budget-tuning": _tuning,
    "lifted-labels": partial(_whole_file, "lifted_labels", LIFTED_LABELS),
    "few-real": partial(_whole_file, "few_real", FEW_REAL),
    "silent-inputs": partial(_whole_file, "silent_inputs", SILENT_INPUTS),
    "teacher-probe": partial(_whole_file, "teacher_probe", PROBE),
    "weak-teachers": partial(_whole_file, "weak_teachers", WEAK_TEACHERS),
    "teacher-accuracy": partial(_whole_file, "teacher_accuracy", TEACHER_ACCURACY),
    "test-time-augmentation": partial(_whole_file, "test_time_augmentation", VIEWS),
    "occlusion": lambda: _occlusion(shares=False),
    "occlusion-shares": lambda: _occlusion(shares=True),
}

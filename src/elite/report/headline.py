"""The key figures at the top of the page."""

from dataclasses import dataclass

from elite.formatting import count, percent
from elite.report.evaluation import Evaluation
from elite.report.run import Run


@dataclass(frozen=True)
class KeyFigure:
    """A number with its title and explanation; ``before`` is that of the untrained network, empty if unknown."""

    title: str
    value: str
    explanation: str
    before: str = ""


def key_figures(run: Run) -> list[KeyFigure]:
    """Scores of student and teacher, and the number of scans and points that they were measured on."""
    after, before, teacher = run.after, run.before, _teacher_score(run)
    if after is None:
        return teacher
    accuracy = _share("Accuracy", after.accuracy, "share of the labelled points", before.accuracy if before else None)
    weighted = _share("Frequency-weighted IoU", after.fw_iou, "mean by points", before.fw_iou if before else None)
    in_one = bool(teacher) or bool(weighted)
    return [*_mean_iou(after, before), *weighted, *teacher, *accuracy, *_sizes(after, in_one=in_one)]


def _mean_iou(after: Evaluation, before: Evaluation | None) -> list[KeyFigure]:
    """Over the classes in the ground truth, or over all classes if only that is known."""
    if after.miou_present is None:
        return _share("Mean IoU", after.miou, "over all classes", before.miou if before else None)
    scope = f"over the {len(after.present_in())} classes in the ground truth"
    if after.miou is not None:
        scope += f"; {percent(after.miou)} over all {len(after.classes) - 1}"
    return _share("Mean IoU", after.miou_present, scope, before.miou_present if before else None)


def _teacher_score(run: Run) -> list[KeyFigure]:
    """At the step with the best student, whose checkpoint is kept."""
    of_all = run.curves.at_best("val/teacher_miou")
    also = "" if of_all is None else f"; {percent(of_all)} over all classes"
    scope = f"over the classes in the ground truth{also}; on validation pixels with a point"
    return _share("Teacher mean IoU", run.curves.at_best("val/teacher_miou_present"), scope, None)


def _sizes(after: Evaluation, *, in_one: bool) -> list[KeyFigure]:
    """Scans and points; ``in_one`` figure, which keeps all figures in one row of the page."""
    if in_one and after.frames is not None:
        return _number("Points", after.points, f"labelled, in {count(after.frames)} scans")
    return [*_number("Scans", after.frames, "with labels"), *_number("Points", after.points, "with labels")]


def _share(title: str, value: float | None, explanation: str, before: float | None) -> list[KeyFigure]:
    if value is None:
        return []
    return [KeyFigure(title, percent(value), explanation, "" if before is None else percent(before))]


def _number(title: str, value: int | None, explanation: str) -> list[KeyFigure]:
    return [] if value is None else [KeyFigure(title, count(value), explanation)]

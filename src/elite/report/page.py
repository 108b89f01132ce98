"""The page: one HTML text with everything inside. Every text from outside is escaped here, every picture embedded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from elite.labels import CLASS_NAMES, IGNORE
from elite.pictures import FAINT, PALETTE, RIGHT, WRONG
from elite.report import sections
from elite.report.html import chart, count, image, percent, table
from elite.report.run import Run
from elite.report.scores import Evaluation
from elite.report.style import CSS

# The browser itself is told that nothing may be loaded from anywhere.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_UNSCORED = "Not evaluated: the run folder has no evaluation.json. Make one with 'elite evaluate --json'."


@dataclass(frozen=True)
class FrameViews:
    """The pictures of one frame, PNG bytes by view: truth, prediction, error, and perhaps camera truth, prediction.

    ``camera`` names the camera; it is empty if the frame has no image.
    """

    id: str
    summary: str
    views: Mapping[str, bytes]
    camera: str = ""


@dataclass(frozen=True)
class TeachingView:
    """The teacher beside the student on one camera image, a PNG with captions and key inside."""

    id: str
    camera: str
    summary: str
    picture: bytes


def render(
    run: Run,
    charts: Mapping[str, bytes],
    frames: Sequence[FrameViews],
    no_frames: str = "",
    taught: Sequence[TeachingView] = (),
    no_teaching: str = "",
    *,
    worst: bool = False,
) -> str:
    """The whole page.

    Args:
        run: what was read from the run folder.
        charts: PNG bytes by name: loss, miou, terms, small_terms, classes, distance, class_distance, confusion,
            calibration; what is missing is left out.
        frames: the pictures.
        no_frames: why there are none, said in their place.
        taught: the teacher's pictures.
        no_teaching: why there are none, said in their place; without either the page does not speak of a teacher.
        worst: whether the frames are those with the lowest mean IoU.
    """
    every = (
        ("training", "Training", "" if run.alone else _training(run, charts)),
        ("teaching", "What the teacher teaches", _teaching(run, taught, no_teaching) if run.teacher else ""),
        ("classes", "What it recognises", _classes(run, charts)),
        ("confusion", "What it confuses", _confusion(run, charts)),
        ("calibration", "How sure it is", sections.calibration(run, charts)),
        ("pictures", "The worst frames" if worst else "Frames", _pictures(frames, no_frames, worst)),
        ("pseudo", "Pseudo-labels", sections.pseudo_labels(run.pseudo_labels) if run.pseudo_labels else ""),
        ("timing", "How long it takes", sections.timing(run)),
        ("setup", "How it was made", _setup(run)),
    )
    shown = [(key, title, content) for key, title, content in every if content]
    kind = "Evaluation" if run.alone else "Run"
    footer = "Every picture on this page also lies beside it as a PNG file." if charts or frames else ""
    links = "".join(f'<a href="#{key}">{title}</a>' for key, title, _ in shown)
    body = "".join(f'<section id="{key}"><h2>{title}</h2>{content}</section>' for key, title, content in shown)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(run.name)} - {kind.lower()} report</title>\n'
        f"<style>{CSS}</style>\n</head>\n<body>\n"
        f'<header><p class="eyebrow">{kind} report</p><h1>{escape(run.name)}</h1>{_origin(run)}{_headline(run)}'
        f"<nav>{links}</nav></header>\n<main>{body}</main>\n"
        f"<footer>{footer}</footer>\n</body>\n</html>\n"
    )


def _origin(run: Run) -> str:
    facts = [str(run.versions[key]) for key in ("hardware", "commit") if run.versions.get(key)]
    if run.versions.get("elite"):
        facts.insert(0, f"elite {run.versions['elite']}")
    return f'<p class="quiet">{escape(" · ".join(facts))}</p>' if facts else ""


def _headline(run: Run) -> str:
    after, before, teacher = run.after, run.before, _teacher_fact(run)
    if after is None:
        facts = f'<dl class="facts">{teacher}</dl>' if teacher else ""
        return f'<p class="quiet">{escape(_UNSCORED)}</p>{facts}'
    facts = (
        _miou_fact(after, before),
        teacher,
        _fact("Accuracy", after.accuracy, before.accuracy if before else None, "points with the right class"),
        *_size_facts(after, together=bool(teacher)),
    )
    missing = '<p class="quiet">No score of the untrained network: evaluation_before.json is missing.</p>'
    untrained = "" if before or run.alone else missing
    return f'<dl class="facts">{"".join(facts)}</dl>{untrained}'


def _miou_fact(after: Evaluation, before: Evaluation | None) -> str:
    """The mean over the classes in the truth; over all classes, before and after, where only that is known."""
    if after.miou_present is None:
        return _fact("Mean IoU", after.miou, before.miou if before else None, "over all classes")
    scope = f"over the {len(after.present)} classes in the truth"
    if after.miou is not None:
        scope += f"; {percent(after.miou)} over all {len(after.classes) - 1}"
    return _fact("Mean IoU", after.miou_present, before.miou_present if before else None, scope)


def _teacher_fact(run: Run) -> str:
    """Where the student scored best, for that is the checkpoint that is kept."""
    value = run.at_best("val/teacher_miou_present")
    whole = run.at_best("val/teacher_miou")
    everywhere = "" if whole is None else f"; {percent(whole)} over all {len(CLASS_NAMES) - 1}"
    scope = f"over the classes in the truth{everywhere}; in validation, on the pixels of visible points"
    return _fact("Teacher's mean IoU", value, None, scope)


def _fact(title: str, value: float | None, before: float | None, explanation: str) -> str:
    if value is None:
        return ""
    start = "" if before is None else f"<i>{percent(before)} → </i>"
    change = "" if before is None else ", untrained → trained"
    return f"<div><dt>{title}{change}</dt><dd>{start}{percent(value)}</dd><small>{escape(explanation)}</small></div>"


def _size_facts(after: Evaluation, *, together: bool) -> tuple[str, ...]:
    """What the scores rest on; ``together`` in one fact, so that all of them stay in one row."""
    if together and after.frames is not None:
        return (_count_fact("Points", after.points, f"with a label, in {count(after.frames)} scored scans"),)
    return (
        _count_fact("Frames", after.frames, "scored scans"),
        _count_fact("Points", after.points, "with a label"),
    )


def _count_fact(title: str, value: int | None, explanation: str) -> str:
    if value is None:
        return ""
    return f"<div><dt>{title}</dt><dd>{count(value)}</dd><small>{explanation}</small></div>"


def _training(run: Run, charts: Mapping[str, bytes]) -> str:
    loss = chart(charts, "loss", "Training loss", "Falls while the network learns. Bold: running mean.")
    better = "Higher is better; 100 % would be every point right."
    if "val/teacher_miou_present" in run.curves:
        better += " The teacher is scored on the pixels of visible points; the student on all points."
    miou = chart(charts, "miou", "Mean IoU on validation frames", better)
    terms = chart(
        charts,
        "terms",
        "What the loss is made of",
        "Student: its answers per point. Heads: every stage of student and teacher against the labels, summed.",
    )
    small = chart(
        charts,
        "small_terms",
        "Small parts of the loss",
        "Divergence: how far the student's stages are from the teacher's, summed, as weighted in the loss. "
        "Orthogonality keeps the teacher's adapters in shape. The axis counts powers of ten.",
    )
    warning = "".join(
        f"<p>Values of {escape(name)} that are left out because they are not finite: {curve.dropped}.</p>"
        for name, curve in run.curves.items()
        if curve.dropped
    )
    if not loss + miou + terms + small:
        return warning or "<p>No training curves: metrics.csv is missing, or holds neither losses nor scores.</p>"
    return f'<div class="pair">{loss}{miou}{terms}{small}</div>{warning}'


def _teaching(run: Run, taught: Sequence[TeachingView], no_teaching: str) -> str:
    if not taught:
        return f"<p>{escape(no_teaching)}</p>"
    random = " Its foundation model began with random weights." if run.teacher == "random" else ""
    intro = (
        "<p>The teacher names every pixel from the image alone. The student sees the LiDAR points alone, in training "
        "and after it. Shares are of the labelled points in view, for both. What has no label to learn from, "
        f"such as the sky, the teacher names all the same.{random}</p>"
    )
    return intro + "".join(map(_lesson, taught))


def _lesson(lesson: TeachingView) -> str:
    where = f"Frame {lesson.id}, camera {lesson.camera}"
    alt = f"{where}: camera image, teacher, student and truth, one under another. {lesson.summary}"
    return (
        f'<figure class="chart lesson"><div class="scroll">{image(lesson.picture, alt)}</div>'
        f"<figcaption><b>{escape(where)}.</b> {escape(lesson.summary)}</figcaption></figure>"
    )


def _classes(run: Run, charts: Mapping[str, bytes]) -> str:
    mark = " The thin dark mark is the untrained network."
    overlap = "Overlap of prediction and truth: 100 is perfect, 0 is none."
    bars = chart(charts, "classes", "IoU of each class, per cent", overlap + mark * bool(run.before and run.before.iou))
    far = "Far things get few points, so they are harder."
    title = "Mean IoU by distance from the sensor"
    distance = chart(charts, "distance", title, far + mark * bool(run.before and run.before.bands))
    if not bars + distance:
        return f"<p>{escape(_UNSCORED if run.after is None else 'The evaluation holds no scores by class.')}</p>"
    mix_ups = _mix_ups(run.after) if run.after else ""
    shades = chart(
        charts,
        "class_distance",
        "IoU of each class by distance",
        "In per cent. Empty: the class has no point at this distance.",
    )
    return f'<div class="pair">{bars}{shades}{distance}{mix_ups}</div>'


def _mix_ups(evaluation: Evaluation) -> str:
    """The confusion matrix in words: its largest cells off the diagonal."""
    items = [
        f"<li>{percent(share, 0)} of <b>{escape(truth)}</b> was taken for <b>{escape(prediction)}</b></li>"
        for truth, prediction, share in evaluation.mix_ups()
    ]
    return f'<div class="note"><h3>Most frequent mix-ups</h3><ul>{"".join(items)}</ul></div>' if items else ""


def _confusion(run: Run, charts: Mapping[str, bytes]) -> str:
    shades = chart(
        charts,
        "confusion",
        "Confusion matrix",
        "Each row is a true class; its numbers say where its points went, in per cent. "
        "A perfect network has 100 on the diagonal. Rows with pale names are absent from the truth.",
        "scroll",
    )
    why = _UNSCORED if run.after is None else "The evaluation holds no confusion matrix."
    return shades or f"<p>{escape(why)}</p>"


def _pictures(frames: Sequence[FrameViews], no_frames: str, worst: bool) -> str:
    if not frames:
        return f"<p>{escape(no_frames or 'No frames were shown.')}</p>"
    which = "The frames with the lowest mean IoU of the evaluation. " if worst else ""
    intro = (
        f"<p>{which}Each scan from above: the arrow head is the car, driving upwards, and the rings are 10 m apart. "
        "Below, where there is a camera image, the points that the camera sees.</p>"
    )
    return intro + _legend() + "".join(map(_frame, frames))


def _legend() -> str:
    """The colours of the classes, and of the error view."""
    classes = [(name, tuple(PALETTE[i].tolist())) for i, name in enumerate(CLASS_NAMES) if i != IGNORE]
    errors = (("right", RIGHT), ("wrong", WRONG), ("no label, not scored", FAINT))
    return f'<ul class="legend">{_swatches(classes)}<li class="break"></li>{_swatches(errors)}</ul>'


def _swatches(colors: Iterable[tuple[str, tuple[int, ...]]]) -> str:
    return "".join(
        f'<li><span style="background:#{bytes(color).hex()}"></span>{escape(name)}</li>' for name, color in colors
    )


def _frame(frame: FrameViews) -> str:
    above = (
        _view(frame, "truth", "Truth", "the labels"),
        _view(frame, "prediction", "Prediction", "what the network says"),
        _view(frame, "error", "Error", "red is wrong, grey is right, faint is not scored"),
    )
    return (
        f'<div class="frame"><h3>Frame {escape(frame.id)}</h3><p>{escape(frame.summary)}</p>'
        f'<div class="views">{"".join(above)}</div>{_camera(frame)}</div>'
    )


def _camera(frame: FrameViews) -> str:
    if not frame.camera:
        return "<p>No camera image belongs to this frame.</p>"
    where = f"on the image of camera {frame.camera}"
    truth = _view(frame, "camera_truth", "Truth", where)
    prediction = _view(frame, "camera_prediction", "Prediction", where)
    return f'<div class="views camera">{truth}{prediction}</div>'


def _view(frame: FrameViews, key: str, title: str, caption: str) -> str:
    picture = image(frame.views[key], f"{frame.id}: {title}, {caption}")
    return f"<figure>{picture}<figcaption><b>{escape(title)}</b> {escape(caption)}</figcaption></figure>"


def _setup(run: Run) -> str:
    tables = [table("Versions and hardware", run.versions)] if run.versions else ["<p>No versions.json.</p>"]
    tables.append(table("Parameters", {name: count(number) for name, number in run.parameters.items()}))
    if run.after:
        # Versions are said again only where the evaluation ran with others than the training did.
        others = {key: value for key, value in run.after.versions.items() if run.versions.get(key) != value}
        tables.append(table("Evaluation", {"command": run.after.command} | others))
    if run.config.strip():
        tables.append(f"<details><summary>Configuration</summary><pre>{escape(run.config.strip())}</pre></details>")
    elif not run.alone:
        tables.append("<p>No config.yaml.</p>")
    return f'<div class="stack">{"".join(tables)}</div>'

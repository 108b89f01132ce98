"""From a run folder to its report: read, draw, write."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from elite.datasets.semantickitti import SemanticKITTI
from elite.device import pick_device
from elite.errors import EliteError, MissingExtraError, require_extra
from elite.evaluation import Prediction, Predictor, by_segmenter, saved_predictions
from elite.files import make_folder, write_bytes
from elite.geometry import Volume, point_pixel_pairs
from elite.inference import Segmenter
from elite.labels import IGNORE
from elite.layout import parse_names
from elite.metrics import confusion_matrix, score
from elite.pictures import bev, class_colors, encode_png, error_colors, overlay
from elite.report.html import count, percent
from elite.report.page import FrameViews, TeachingView, render
from elite.report.run import Run, read_evaluation, read_run
from elite.report.scores import Evaluation
from elite.report.teaching import Lesson, Teaching, teaching
from elite.types import Camera, Frame

_LESSONS = 2  # frames on which the teacher is shown at most: their pictures are large
_Labels = UInt8[np.ndarray, "n"]


def write_report(
    run: Path,
    predict: Predictor,
    dataset: SemanticKITTI | None,
    *,
    frames: int = 3,
    lesson: Callable[[], Lesson] | None = None,
) -> Path:
    """Write index.html, one page with everything inside, and its pictures beside it as PNG files.

    They go to ``run``/report, or to NAME_report beside an evaluation NAME.json.

    What the run folder lacks is left out of the page, with a sentence in its place.

    Args:
        run: the folder that training wrote to, or the file that ``elite evaluate --json`` wrote.
        predict: labels every point of a frame, such as the run's best checkpoint.
        dataset: labelled frames to show; None shows none.
        frames: how many of them: those with the lowest mean IoU if the evaluation knows any of them, else evenly
            spread.
        lesson: loads the teacher of the run, if it has one; what goes wrong there is told on the page.

    Returns:
        Path of the page.

    Raises:
        DataError: the folder is no run, or one of its files or a shown frame is damaged.
        MissingExtraError: matplotlib is not installed.
        OutputError: the pages cannot be written.
    """
    record = read_evaluation(run) if run.is_file() else read_run(run)
    charts = _draw_charts(record)
    places, worst = _choose(dataset, frames, record.after)
    shown = [(frame, predict(frame).labels) for frame in (dataset[i] for i in places)] if dataset else []
    views = [_views(frame, prediction, record.volume) for frame, prediction in shown]
    taught, no_teaching = _teach(record, shown, lesson)
    folder = make_folder(run.with_name(f"{run.stem}_report") if run.is_file() else run / "report")
    for name, png in _files(charts, views, taught).items():
        write_bytes(folder / f"{name}.png", png)
    page = folder / "index.html"
    text = render(record, charts, views, _why_no_frames(dataset), taught, no_teaching, worst=worst)
    write_bytes(page, text.encode(errors="xmlcharrefreplace"))  # JSON may hold halves of characters
    return page


def report_run(
    run: Path,
    *,
    data: Path | None = None,
    cameras: Sequence[str] | None = None,
    frames: int = 3,
    device: str = "auto",
) -> Path:
    """The report of a training run, its pictures predicted by its best checkpoint on its own validation frames.

    ``data`` is where the data set lies now, if it moved since. Without data set or checkpoint there are no pictures.
    ``cameras`` are by default those that the run's teacher saw, image_2 if it had none.
    """
    record = read_run(run)
    chosen = record.data
    root = data or chosen.root
    checkpoint = next((p for name in ("best", "last") if (p := run / "checkpoints" / f"{name}.ckpt").exists()), None)
    if root is None or not root.exists() or checkpoint is None:
        return write_report(run, _no_prediction, None)
    segmenter = Segmenter.load(checkpoint, device)
    selection = None if chosen.val_sequences == "none" else chosen.val_sequences
    if cameras is None:
        cameras = parse_names(chosen.cameras) if record.teacher else ("image_2",)
    dataset = SemanticKITTI(root, selection, frames=chosen.val_frames, cameras=cameras)
    lesson = lambda: _load_lesson(run, checkpoint, record, device)  # noqa: E731
    return write_report(run, by_segmenter(segmenter), dataset, frames=frames, lesson=lesson)


def report_evaluation(
    file: Path,
    *,
    data: Path | None = None,
    predictions: Path | None = None,
    checkpoint: Path | None = None,
    cameras: Sequence[str] = ("image_2",),
    frames: int = 3,
    device: str = "auto",
) -> Path:
    """The report of one result of ``elite evaluate --json``; its pictures need the data set, and the predictions or the
    checkpoint that was scored.
    """
    if data is None or not (predictions or checkpoint):
        return write_report(file, _no_prediction, None)
    if predictions:
        predict = saved_predictions(predictions)
    else:
        assert checkpoint is not None
        predict = by_segmenter(Segmenter.load(checkpoint, device))
    found = read_evaluation(file).after
    scored = [score.id.partition("/")[0] for score in (found.by_frame if found else ())]
    sequences = ",".join(dict.fromkeys(scored)) or None
    return write_report(file, predict, SemanticKITTI(data, sequences, cameras=cameras), frames=frames)


def _load_lesson(run: Path, checkpoint: Path, record: Run, device: str) -> Lesson:
    """The teacher of a checkpoint, and the untrained student if ``run``/untrained.safetensors holds it.

    Raises:
        MissingExtraError: the teacher's packages are not installed.
        CheckpointError, ConfigError: its foundation model is not where the run had it, or a file is damaged.
    """
    for package in ("transformers", "peft"):
        require_extra(package, "teacher")
    from elite.teacher import load_teacher

    teacher = load_teacher(checkpoint).to(pick_device(device))
    untrained = run / "untrained.safetensors"
    before = Segmenter.load(untrained, device).segment if untrained.exists() else None
    return Lesson(teacher, record.image, before)


def _teach(
    record: Run, shown: Sequence[tuple[Frame, _Labels]], load: Callable[[], Lesson] | None
) -> tuple[list[TeachingView], str]:
    """The teacher beside the student on the first frames with an image, or why there is no such picture."""
    if not record.teacher:
        return [], ""
    if not shown or load is None:
        return [], "No picture of the teacher: it is drawn on the frames shown, and there are none."
    chosen = [(frame, labels) for frame, labels in shown if frame.images][:_LESSONS]
    if not chosen:
        return [], "No picture of the teacher: none of the frames shown has a camera image."
    try:
        lesson = load()
        return [_draw_lesson(teaching(frame, labels, lesson, record.volume)) for frame, labels in chosen], ""
    except EliteError as error:
        return [], f"No picture of the teacher: {error}"


def _draw_lesson(found: Teaching) -> TeachingView:
    from elite.report import charts

    scores = [f"{panel.title.lower()} {percent(panel.right)}" for panel in found.panels if panel.right is not None]
    scored = f"{count(found.points)} labelled points are in view; right: {', '.join(scores)}."
    summary = scored if found.points else "No point in view has a label to compare with."
    return TeachingView(found.id, found.camera, summary, charts.stacked(found))


def _no_prediction(frame: Frame) -> Prediction:
    raise AssertionError("no frame is shown without a checkpoint")


def _draw_charts(run: Run) -> dict[str, bytes]:
    """PNG bytes by name; a chart without numbers is left out."""
    try:
        from elite.report import charts, diagrams
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise MissingExtraError("matplotlib", "report") from error
    curves = {
        "loss": charts.loss_chart(run),
        "miou": charts.score_chart(run),
        "terms": charts.term_chart(run),
        "small_terms": charts.small_term_chart(run),
    }
    drawn = {name: png for name, png in curves.items() if png is not None}
    after = run.after
    if after and after.iou:
        drawn["classes"] = charts.class_bars(after, run.before)
    if after and after.bands:
        drawn["distance"] = charts.distance_bars(after.bands, run.before.bands if run.before else ())
    if after and after.present and after.bands and all(band.iou for band in after.bands):
        drawn["class_distance"] = diagrams.distance_table(after.bands, after.classes, sorted(after.present - {IGNORE}))
    if after and after.calibration:
        drawn["calibration"] = diagrams.calibration_chart(after.calibration)
    if after and after.rates is not None:
        drawn["confusion"] = charts.confusion_chart(after.rates, after.classes[1:])
    return drawn


def _choose(dataset: SemanticKITTI | None, frames: int, evaluation: Evaluation | None) -> tuple[list[int], bool]:
    """(places of labelled frames, whether they are the worst ones): at most ``frames`` of them.

    Without scores of single frames they are evenly spread from the first to the last.
    """
    labelled = dataset.labelled() if dataset is not None else []
    if dataset is None or not labelled or frames < 1:
        return [], False
    place = {str(dataset.ids[i]): i for i in labelled}
    worst = [place[score.id] for score in (evaluation.worst() if evaluation else []) if score.id in place]
    if worst:
        return worst[:frames], True
    even = np.unique(np.linspace(0, len(labelled) - 1, min(frames, len(labelled))).round().astype(int))
    return [labelled[k] for k in even], False


def _why_no_frames(dataset: SemanticKITTI | None) -> str:
    if dataset is None:
        return "No pictures: no data set was given."
    if not dataset.labelled():
        return f"No pictures: no frame of sequences {', '.join(dataset.sequences)} has labels."
    return ""


def _views(frame: Frame, prediction: _Labels, volume: Volume) -> FrameViews:
    """All pictures of one labelled frame."""
    assert frame.labels is not None
    colors = {
        "truth": class_colors(frame.labels),
        "prediction": class_colors(prediction),
        "error": error_colors(frame.labels, prediction),
    }
    views = {name: bev(frame.scan.points, color, volume=volume) for name, color in colors.items()}
    camera = next((camera for camera in frame.cameras if camera.name in frame.images), None)
    if camera is not None:
        views |= _camera_views(frame, camera, colors)
    return FrameViews(
        frame.id,
        _summary(frame.labels, prediction),
        {name: encode_png(view) for name, view in views.items()},
        camera.name if camera else "",
    )


def _camera_views(
    frame: Frame, camera: Camera, colors: Mapping[str, UInt8[np.ndarray, "n 3"]]
) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    image = frame.images[camera.name]
    pairs = point_pixel_pairs(frame.scan.points, camera, *image.shape[:2])
    return {f"camera_{name}": overlay(image, pairs, colors[name]) for name in ("truth", "prediction")}


def _summary(truth: UInt8[np.ndarray, "n"], prediction: UInt8[np.ndarray, "n"]) -> str:
    if not (truth != IGNORE).any():
        return "No point of this frame has a label to compare with."
    found = score(confusion_matrix(prediction, truth))
    return (
        f"{percent(found.accuracy)} of {count(found.points)} labelled points are right; "
        f"mean IoU {percent(found.miou_present)} over the {len(found.present)} classes in this frame."
    )


def _files(
    charts: Mapping[str, bytes], frames: Sequence[FrameViews], taught: Sequence[TeachingView]
) -> dict[str, bytes]:
    """Every picture by the name of its file, without the ending."""
    files = dict(charts)
    for frame in frames:
        files |= {f"frame_{frame.id.replace('/', '_')}_{view}": png for view, png in frame.views.items()}
    return files | {f"frame_{lesson.id.replace('/', '_')}_teaching": lesson.picture for lesson in taught}

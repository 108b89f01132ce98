"""From a run folder to its report: read, draw, write."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from elite.datasets import Dataset, open_dataset
from elite.device import pick_device
from elite.errors import require_extra
from elite.evaluation import Prediction, Predictor, by_segmenter, saved_predictions
from elite.files import make_folder, write_bytes
from elite.formatting import sequence_list
from elite.inference import Segmenter
from elite.layout import parse_names
from elite.report.charts import draw_charts
from elite.report.evaluation import Evaluation
from elite.report.frames import draw_frame, draw_teacher, select_frames
from elite.report.page import PageImages, render
from elite.report.run import Run, read_evaluation, read_run
from elite.report.teacher_views import Models
from elite.sensor import SensorSpec
from elite.taxonomy import Taxonomy, require_equal_taxonomies
from elite.terminal import notice
from elite.types import Frame


def write_report(
    run: Path,
    predict: Predictor,
    dataset: Dataset | None,
    *,
    frames: int = 3,
    load_teacher: Callable[[], Models] | None = None,
    taxonomy: Taxonomy | None = None,
) -> Path:
    """Write the report of a run: index.html, which contains all images, and the images as separate files.

    The folder is ``run``/report, or NAME_report next to an evaluation NAME.json. Where the run folder lacks a part,
    the page has a sentence in its place.

    Args:
        run: folder that training wrote to, or file that ``elite evaluate --json`` wrote.
        predict: labels the points of a frame, e.g. with the best checkpoint of the run.
        dataset: labelled frames to draw; None = no frames.
        frames: number of frames: those with the lowest mean IoU if the evaluation has scores by frame, else evenly
            spaced ones.
        load_teacher: loads the teacher of the run, if it has one. The page contains the message of its errors.
        taxonomy: classes of a report without data set; None = those of the evaluation.

    Returns:
        Path of the page.

    Raises:
        DataError: not a run folder, or one of its files or a frame is damaged.
        ConfigError: the evaluation has other classes than the data set.
        OutputError: the report cannot be written.
    """
    record = read_evaluation(run) if run.is_file() else read_run(run)
    classes = taxonomy or record.taxonomy if dataset is None else dataset.taxonomy
    for name, evaluation in (("evaluation_before.json", record.before), ("evaluation.json", record.after)):
        _check_classes(evaluation, classes, run if run.is_file() else run / name)
    images = _draw(record, predict, dataset, frames, load_teacher, classes)
    folder = make_folder(run.with_name(f"{run.stem}_report") if run.is_file() else run / "report")
    for name, image in images.files().items():
        write_bytes(folder / name, image.data)
    page = folder / "index.html"
    write_bytes(page, render(record, images).encode(errors="xmlcharrefreplace"))  # JSON may contain lone surrogates
    return page


def report_run(
    run: Path,
    *,
    data: Path | None = None,
    format: str | None = None,
    cameras: Sequence[str] | None = None,
    frames: int = 3,
    device: str = "auto",
    strict: bool = False,
    taxonomy: Taxonomy | None = None,
    sensor: str | None = None,
) -> Path:
    """Write the report of a training run, with frames that its best checkpoint labels.

    Without data set or checkpoint, the report has no frames.

    Args:
        run: folder that training wrote to.
        data: data set; None = the one of the run.
        format: of the data set (see ``open_dataset``); None = that of the run, unless another data set is given. A
            class of another package must be given, because its import runs code.
        cameras: cameras of the photographs: a frame shows its first image, or all if it has more than two. None =
            those of the teacher, or those that the reader selects for a run without a teacher.
        frames: number of frames.
        device: auto, cpu, cuda.
        strict: doubtful scans (see ``elite.datasets.input_guard``) are a DataError instead of a warning.
        taxonomy: classes and their colours; None = those of ``data``, otherwise of the checkpoint, otherwise of the
            evaluation.
        sensor: name or file of the LiDAR; None = that of the run, or with another data set that of ``data``.

    Raises:
        ConfigError: ``data`` has other classes than the checkpoint.
    """
    record = read_run(run)
    checkpoint = next((p for name in ("best", "last") if (p := run / "checkpoints" / f"{name}.ckpt").exists()), None)
    if checkpoint is None:
        if data is not None:
            notice(f"{data} is not used: {run / 'checkpoints'} has no checkpoint that labels its scans.")
        return write_report(run, _no_prediction, None, taxonomy=taxonomy)
    segmenter = Segmenter.load(checkpoint, device, report=notice, strict=strict)
    given = segmenter.sensor if sensor is None and data is None and record.data.sensor else sensor
    classes = taxonomy or (segmenter.taxonomy if data is None else None)
    dataset = _validation_frames(record, data, format, cameras, classes, given)
    if dataset is None:
        return write_report(run, _no_prediction, None, taxonomy=taxonomy or segmenter.taxonomy)
    return write_report(
        run,
        by_segmenter(segmenter, dataset.taxonomy),
        dataset.with_past_scans(segmenter.past_scans),
        frames=frames,
        load_teacher=lambda: _load_models(run, checkpoint, record, device),
    )


def _validation_frames(
    run: Run,
    data: Path | None,
    format: str | None,
    cameras: Sequence[str] | None,
    taxonomy: Taxonomy | None,
    sensor: str | SensorSpec | None,
) -> Dataset | None:
    """Open the validation frames of a run, in its data set or in ``data``; None if its data set cannot be opened."""
    settings = run.data
    root, named = settings.root if data is None else data, settings.format if data is None else None
    if root is None or not root.exists():
        return None
    if format is None and named is not None and ":" in named:
        notice(
            f"data.format of the run is the class {named}, whose import runs code. Give --format {named} for frames."
        )
        return None
    sequences = None if settings.val_sequences == "none" else settings.val_sequences
    if cameras is None and run.teacher:
        cameras = parse_names(settings.cameras)
    return _open(root, format or named, taxonomy, sensor, cameras, sequences=sequences, frames=settings.val_frames)


def report_evaluation(
    file: Path,
    *,
    data: Path | None = None,
    format: str | None = None,
    predictions: Path | None = None,
    checkpoint: Path | None = None,
    cameras: Sequence[str] | None = None,
    frames: int = 3,
    device: str = "auto",
    strict: bool = False,
    taxonomy: Taxonomy | None = None,
    sensor: str | None = None,
) -> Path:
    """Write the report of a result of ``elite evaluate --json``.

    Frames need the data set, and the predictions or the checkpoint that were scored. ``taxonomy`` gives the classes and
    their colours; None = those of the checkpoint, otherwise the packaged ones with the names of the result, otherwise
    those of the data set. The other arguments are those of ``report_run``.

    Raises:
        ConfigError: the result has other classes.
    """
    if data is None or not (predictions or checkpoint):
        for given in filter(None, (data, predictions, checkpoint)):
            notice(f"{given} is not used: pictures of frames need --data, and --predictions or --model.")
        return write_report(file, _no_prediction, None, taxonomy=taxonomy)
    evaluation = read_evaluation(file).after
    assert evaluation is not None
    sequences = dict.fromkeys(score.frame.partition("/")[0] for score in evaluation.by_frame)
    scored = {"sensor": sensor, "cameras": cameras, "sequences": ",".join(sequences) or None}
    if predictions:
        if checkpoint is not None:
            notice(f"{checkpoint} is not used: the pictures show the predictions in {predictions}.")
        dataset = _open(data, format, taxonomy or evaluation.packaged_taxonomy, **scored)
        return write_report(file, saved_predictions(predictions, dataset.taxonomy), dataset, frames=frames)
    assert checkpoint is not None
    segmenter = Segmenter.load(checkpoint, device, report=notice, strict=strict)
    dataset = _open(data, format, taxonomy or segmenter.taxonomy, **scored)
    frames_with_past = dataset.with_past_scans(segmenter.past_scans)
    return write_report(file, by_segmenter(segmenter, dataset.taxonomy), frames_with_past, frames=frames)


def _open(
    root: Path,
    format: str | None,
    taxonomy: Taxonomy | None,
    sensor: str | SensorSpec | None,
    cameras: Sequence[str] | None,
    **selection: str | None,
) -> Dataset:
    """Open a data set; ``cameras`` None = those that its reader selects."""
    options: dict[str, Any] = selection if cameras is None else {**selection, "cameras": tuple(cameras)}
    return open_dataset(root, format, taxonomy=taxonomy, sensor=sensor, **options)


def _draw(
    run: Run,
    predict: Predictor,
    dataset: Dataset | None,
    frames: int,
    load_teacher: Callable[[], Models] | None,
    taxonomy: Taxonomy,
) -> PageImages:
    for line in (*dataset.unused, *dataset.unlabelled) if dataset else ():
        notice(line)
    charts = draw_charts(run, taxonomy)
    positions, are_worst = select_frames(dataset, frames, run.after)
    predicted = [(frame, predict(frame).labels) for frame in (dataset[i] for i in positions)] if dataset else []
    volume = run.student.volume
    figures = [draw_frame(frame, labels, volume, taxonomy) for frame, labels in predicted]
    teacher, no_teacher = draw_teacher(predicted, load_teacher, volume, taxonomy) if run.teacher else ([], "")
    return PageImages(taxonomy, charts, figures, _why_no_frames(dataset), teacher, no_teacher, are_worst)


def _check_classes(evaluation: Evaluation | None, taxonomy: Taxonomy, file: Path) -> None:
    """Check that the classes of a result file are those of its report; it contains no raw ids.

    Raises:
        ConfigError: they are others.
    """
    if evaluation is not None and evaluation.classes != taxonomy.names:
        remedy = "Give the taxonomy of the evaluation with --taxonomy, or evaluate again."
        require_equal_taxonomies(evaluation.taxonomy, taxonomy, file, remedy=remedy)


def _load_models(run: Path, checkpoint: Path, record: Run, device: str) -> Models:
    """Load the teacher of a checkpoint, and the untrained student from ``run``/untrained.safetensors if it exists.

    Raises:
        MissingExtraError: the packages of the teacher are not installed.
        CheckpointError, ConfigError: the foundation model was moved, or a file is damaged.
    """
    for package in ("transformers", "peft"):
        require_extra(package, "teacher")
    from elite.teacher import load_teacher

    teacher = load_teacher(checkpoint).to(pick_device(device))
    untrained = run / "untrained.safetensors"
    if not untrained.exists():
        return Models(teacher, record.image)
    before = Segmenter.load(untrained, device, report=lambda _: None)  # the trained student reports doubtful scans
    return Models(teacher, record.image, before.segment)


def _no_prediction(frame: Frame) -> Prediction:
    raise AssertionError("no frame is drawn without a checkpoint")


def _why_no_frames(dataset: Dataset | None) -> str:
    if dataset is None:
        return "No frames: the run has no data set. Use --data to give one."
    if not dataset.labelled():
        return f"No frames: no frame of sequences {sequence_list(dataset.sequences)} has labels."
    return ""

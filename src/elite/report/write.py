"""From a run folder to its report: read, draw, write."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from elite.data.semantickitti import SemanticKITTI
from elite.errors import MissingExtraError
from elite.files import make_folder, write_bytes
from elite.geometry import Volume, point_pixel_pairs
from elite.inference import Segmenter
from elite.labels import IGNORE
from elite.metrics import confusion_matrix, score
from elite.report.page import FrameViews, count, percent, render
from elite.report.pictures import bev, class_colors, encode_png, error_colors, overlay
from elite.report.run import Run, read_run
from elite.types import Camera, Frame, Scan, SegmentationResult

Predict = Callable[[Scan], SegmentationResult]


def write_report(run: Path, predict: Predict, dataset: SemanticKITTI | None, *, frames: int = 3) -> Path:
    """Write ``run``/report/index.html, one page with everything inside, and its pictures beside it as PNG files.

    What the run folder lacks is left out of the page, with a sentence in its place.

    Args:
        run: the folder that training wrote to.
        predict: labels every point of a scan, such as the run's best checkpoint.
        dataset: labelled frames to show; None shows none.
        frames: how many of them, evenly spread.

    Returns:
        Path of the page.

    Raises:
        DataError: the folder is no run, or one of its files or a shown frame is damaged.
        MissingExtraError: matplotlib is not installed.
        OutputError: the pages cannot be written.
    """
    record = read_run(run)
    charts = _draw_charts(record)
    shown = _shown(dataset, frames)
    views = [_views(frame, predict, record.volume) for frame in shown]
    folder = make_folder(run / "report")
    for name, png in _files(charts, views).items():
        write_bytes(folder / f"{name}.png", png)
    page = folder / "index.html"
    write_bytes(page, render(record, charts, views, _why_no_frames(dataset)).encode())
    return page


def report_run(
    run: Path, *, data: Path | None = None, cameras: Sequence[str] = ("image_2",), frames: int = 3, device: str = "auto"
) -> Path:
    """The report of a training run, its pictures predicted by its best checkpoint on its own validation frames.

    ``data`` is where the data set lies now, if it moved since. Without data set or checkpoint there are no pictures.
    """
    settings = read_run(run).settings
    chosen = settings.get("data") or {}
    root = data or (Path(chosen["root"]) if chosen.get("root") else None)
    checkpoint = next((p for name in ("best", "last") if (p := run / "checkpoints" / f"{name}.ckpt").exists()), None)
    if root is None or not root.exists() or checkpoint is None:
        return write_report(run, _no_prediction, None)
    segmenter = Segmenter.load(checkpoint, device)
    selection = chosen.get("val_sequences", "valid")
    dataset = SemanticKITTI(
        root, None if selection == "none" else selection, frames=chosen.get("val_frames"), cameras=cameras
    )
    return write_report(run, segmenter.segment, dataset, frames=frames)


def _no_prediction(scan: Scan) -> SegmentationResult:
    raise AssertionError("no frame is shown without a checkpoint")


def _draw_charts(run: Run) -> dict[str, bytes]:
    """PNG bytes by name; a chart without numbers is left out."""
    try:
        from elite.report import charts
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise MissingExtraError("matplotlib", "report") from error
    drawn: dict[str, bytes] = {}
    curves = {name: curve for name, curve in run.curves.items() if len(curve)}
    if "train/loss" in curves:
        drawn["loss"] = charts.curves({"training loss": curves["train/loss"]}, run.axis)
    names = {
        "val/miou_present": "classes in the truth",
        "val/miou": "all classes",
        "train/miou_present": "training frames",
    }
    scores = {title: curves[name] for name, title in names.items() if name in curves}
    if scores:
        drawn["miou"] = charts.curves(scores, run.axis, percent=True)
    after = run.after
    if after and after.iou:
        drawn["classes"] = charts.class_bars(after, run.before)
    if after and after.bands:
        drawn["distance"] = charts.distance_bars(after.bands, run.before.bands if run.before else ())
    if after and after.rates is not None:
        drawn["confusion"] = charts.confusion_chart(after.rates, after.classes[1:])
    return drawn


def _shown(dataset: SemanticKITTI | None, frames: int) -> list[Frame]:
    """``frames`` labelled frames, evenly spread from the first to the last; fewer if there are fewer."""
    labelled = dataset.labelled() if dataset is not None else []
    if dataset is None or not labelled or frames < 1:
        return []
    places = np.unique(np.linspace(0, len(labelled) - 1, min(frames, len(labelled))).round().astype(int))
    return [dataset[labelled[place]] for place in places]


def _why_no_frames(dataset: SemanticKITTI | None) -> str:
    if dataset is None:
        return "No pictures: no data set was given."
    if not dataset.labelled():
        return f"No pictures: no frame of sequences {', '.join(dataset.sequences)} has labels."
    return ""


def _views(frame: Frame, predict: Predict, volume: Volume) -> FrameViews:
    """All pictures of one labelled frame."""
    assert frame.labels is not None
    prediction = predict(frame.scan).labels
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


def _files(charts: Mapping[str, bytes], frames: list[FrameViews]) -> dict[str, bytes]:
    """Every picture by the name of its file, without the ending."""
    files = dict(charts)
    for frame in frames:
        files |= {f"frame_{frame.id.replace('/', '_')}_{view}": png for view, png in frame.views.items()}
    return files

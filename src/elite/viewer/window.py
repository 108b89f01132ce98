"""Open the window of ``elite view`` and ``elite stream --view``."""

from dataclasses import replace
from pathlib import Path

from elite.datasets import Dataset, open_dataset
from elite.datasets.dense_labels import DenseLabels
from elite.errors import DataError
from elite.layout import label_folder, parse_names
from elite.taxonomy import Taxonomy
from elite.viewer.app import Viewer
from elite.viewer.colors import Mode
from elite.viewer.gate import GuardedServer, listen
from elite.viewer.panel import Choice
from elite.viewer.predictors import FramePredictor, SavedPredictions, TeacherPredictor
from elite.viewer.source import DataSource, ScanSource, Source


def open_data(
    root: Path,
    format: str | None = None,
    *,
    sequences: str | None = None,
    frames: str | None = None,
    labels: str = "labels",
    cameras: tuple[str, ...] | None = None,
    pseudo: str | None = None,
    derived: Path | None = None,
    predictor: FramePredictor | None = None,
    predictions: Path | None = None,
    teacher: TeacherPredictor | None = None,
    taxonomy: str | Taxonomy | None = None,
    sensor: str | None = None,
) -> DataSource:
    """Open a data set with its images, labels and derived labels.

    Args:
        root, format: data set, see ``open_dataset``.
        sequences, frames: selection; None = all.
        labels: label folder.
        cameras: cameras whose images are shown; None = all that have some.
        pseudo: folders of pseudo-labels; None = CAMERA_pseudo of each camera, if they exist.
        derived: root of pseudo-labels outside the data set.
        predictor: predicts points.
        predictions: folder of saved predictions, which are shown instead.
        teacher: predicts images.
        taxonomy: classes of the labels; None = those of the data set.
        sensor: name or file of the LiDAR; None = that of the data set.

    Raises:
        DataError: the data set is missing, the selection is empty, or a folder of ``pseudo`` has no labels.
        ConfigError: an invalid selection, camera or folder, or a predictor with other classes than the data.
    """
    selection = {"sequences": sequences, "frames": frames, "labels": labels}
    described = {"taxonomy": taxonomy, "sensor": sensor}
    dataset = open_dataset(root, format, **described, cameras=cameras or (), derived=derived, **selection)
    if cameras is None:
        dataset = dataset.select(replace(dataset.selection, cameras=dataset.available_cameras()))
    if predictions is not None:
        predictor = SavedPredictions(predictions, dataset.taxonomy)
    if predictor is not None:
        dataset = dataset.with_past_scans(predictor.past_scans)
    return DataSource(dataset, predictor, dense=_dense_folders(dataset, pseudo), teacher=teacher)


def _dense_folders(dataset: Dataset, pseudo: str | None) -> list[str]:
    """Lists of folders with dense labels: generated ones and ground truth.

    Raises:
        DataError: a folder of ``pseudo`` has no labels.
    """
    names = ",".join(f"{camera}_pseudo" for camera in dataset.cameras) if pseudo is None else pseudo
    generated = DenseLabels(dataset, names).present
    if missing := set(parse_names(pseudo or "")) - set(generated):
        raise DataError(
            f"--pseudo: expected labels of the selected sequences in {', '.join(sorted(missing))}, found none. "
            "Generate them with 'elite pseudo-label', give --derived for another root, or omit --pseudo."
        )
    ground_truth = DenseLabels(dataset, ",".join(map(label_folder, dataset.cameras))).present
    return [",".join(folders) for folders in (generated, ground_truth) if folders]


def open_window(
    source: Source, choice: Choice, *, host: str, port: int, require_token: bool = False, live: bool = False
) -> Viewer:
    """Open a viewer for a browser at ``viewer.url``; port 0 takes any free one.

    If ``host`` can be reached from other machines, the address contains a token; with ``require_token`` it always does.

    Raises:
        ConfigError: the port is taken, the host is not an address of this machine, or this viser cannot be guarded.
    """
    return Viewer(source, GuardedServer(listen(host, port), require_token=require_token), choice, live=live)


def first_choice(source: Source, *, light: bool = False, safe: bool = False) -> Choice:
    """Return the initial choice: predictions if available, else ground truth, else heights."""
    mode = Mode.PREDICTION if source.has_predictions else Mode.GROUND_TRUTH if source.labelled() else Mode.HEIGHT
    return Choice(mode=mode, dark=not light, safe=safe, follow=isinstance(source, ScanSource))

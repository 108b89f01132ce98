"""Open the window of ``elite view`` and ``elite stream --view``."""

from pathlib import Path

from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import DataError
from elite.layout import open_layout, parse_names
from elite.taxonomy import Taxonomy
from elite.viewer.app import Viewer
from elite.viewer.colors import Mode
from elite.viewer.gate import GuardedServer, listen
from elite.viewer.panel import Choice
from elite.viewer.predictors import FramePredictor, SavedPredictions, TeacherPredictor
from elite.viewer.source import DataSource, ScanSource, Source


def open_data(
    root: Path,
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
    taxonomy: Taxonomy | None = None,
) -> DataSource:
    """Open a data set with its images, labels and derived labels.

    Args:
        root: data set.
        sequences, frames: selection; None = all.
        labels: label folder.
        cameras: image folders; None = all existing ones.
        pseudo: folders of pseudo-labels; None = image_2_pseudo and image_3_pseudo, if they exist.
        derived: root of pseudo-labels outside the data set.
        predictor: predicts points.
        predictions: folder of saved predictions, which are shown instead.
        teacher: predicts images.
        taxonomy: classes of the labels; None = those of the predictor, otherwise of the data set.

    Raises:
        DataError: the data set is missing, the selection is empty, or a folder of ``pseudo`` does not exist.
        ConfigError: an invalid selection, camera or folder, or a predictor with other classes than ``taxonomy``.
    """
    layout = open_layout(root)
    found = layout.found_sequences()
    if cameras is None:
        cameras = layout.cameras_with_images(found)
    if taxonomy is None and predictor is not None:
        taxonomy = predictor.taxonomy
    dataset = SemanticKITTI(
        root, sequences, frames=frames, labels=labels, cameras=cameras, derived=derived, taxonomy=taxonomy
    )
    if predictions is not None:
        predictor = SavedPredictions(predictions, dataset.taxonomy)
    made = ",".join(_existing(dataset, found, tuple(f"{c}_pseudo" for c in cameras)))
    if pseudo is not None:
        made = pseudo
        if missing := set(parse_names(pseudo)) - set(_existing(dataset, found, parse_names(pseudo))):
            raise DataError(
                f"--pseudo: expected {', '.join(sorted(missing))} in a sequence of {layout.root}, found none. Generate "
                "pseudo-labels with 'elite pseudo-label', give --derived for another root, or omit --pseudo."
            )
    ground_truth = ",".join(_existing(dataset, found, tuple(f"{c}_labels" for c in cameras)))
    return DataSource(dataset, predictor, dense=[text for text in (made, ground_truth) if text], teacher=teacher)


def _existing(dataset: SemanticKITTI, sequences: tuple[str, ...], folders: tuple[str, ...]) -> list[str]:
    """Folders of dense labels that exist in at least one sequence."""

    def has(sequence: str, folder: str) -> bool:
        return dataset.layout_of(folder).dense_files(sequence, "0", folder).semantic.parent.is_dir()

    return [folder for folder in folders if any(has(sequence, folder) for sequence in sequences)]


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

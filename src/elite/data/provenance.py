"""Provenance of dense labels: they must not contain more than the labels that the training may use."""

from elite.data.label_budget import LabelBudget
from elite.datasets import Dataset
from elite.datasets.dense_labels import DenseLabels
from elite.errors import ConfigError
from elite.label_records import read_provenance


def check_provenance(frames: Dataset, dense: DenseLabels, budget: LabelBudget) -> None:
    """Check the records of all dense labels, each of which is read once.

    Raises:
        ConfigError: some were generated from more labels than ``budget`` allows, or from another label folder than the
            training's.
    """
    if budget.point_fraction == 1 and frames.selection.labels == "labels":
        return  # nothing is hidden from the training
    for i in budget.labelled:
        settings = dense.provenance(i)
        if budget.point_fraction < 1:
            _check_share(str(frames.ids[i]), dense, settings, budget)
        if frames.selection.labels != "labels":
            _check_source(frames, i, dense, settings)


def _check_share(frame_id: str, dense: DenseLabels, settings: list[dict], budget: LabelBudget) -> None:
    share, seed = budget.point_fraction, budget.seed
    expected = {"label_fraction": share, "label_unit": "points", "seed": seed}
    for generated in settings:
        if any(generated.get(name) != value for name, value in expected.items()):
            raise ConfigError(
                f"dense labels of {frame_id} ({_folders(dense)}): expected labels generated from the "
                f"{share:g} of the points that data.label_fraction allows, found labels of other points. Generate "
                f"pseudo-labels with --label-fraction {share:g} --label-unit points --seed {seed}, or set "
                "--data.dense-labels none."
            )


def _check_source(frames: Dataset, i: int, dense: DenseLabels, settings: list[dict]) -> None:
    folder = frames.selection.labels
    source = read_provenance(frames.label_record(i)).get("labels", folder)  # lifted labels have a source themselves
    if source == "labels":
        return
    if any(generated.get("labels") != source for generated in settings):
        raise ConfigError(
            f"dense labels of {frames.ids[i]} ({_folders(dense)}): expected labels generated from '{source}', like the "
            "training labels, found labels of another source, which may contain more. Generate pseudo-labels with "
            f"--labels {source}, or set --data.dense-labels none."
        )


def _folders(dense: DenseLabels) -> str:
    return ", ".join(dense.folders.values())

"""From paths to a window: what ``elite view`` and ``elite stream --view`` open."""

from pathlib import Path

from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import DataError
from elite.layout import CAMERAS, open_layout, parse_names
from elite.viewer.answers import Answerer, Teacher
from elite.viewer.app import Viewer
from elite.viewer.colors import Mode
from elite.viewer.gate import GuardedServer, listen
from elite.viewer.panel import Choice
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
    answerer: Answerer | None = None,
    teacher: Teacher | None = None,
) -> DataSource:
    """A data set and what there is beside it.

    Args:
        cameras: image folders; None = all that there are.
        pseudo: folders of generated dense labels, image_2_pseudo,image_3_pseudo; None = those of these names.
        derived: root of generated labels that are not in the data set.

    Raises:
        DataError: no such data, nothing selected, or no folder ``pseudo``.
        ConfigError: a selection, camera or folder that cannot be understood.
    """
    layout = open_layout(root)
    found = layout.found_sequences()
    if cameras is None:
        cameras = tuple(c for c in CAMERAS if any(layout.image(s, "0", c).parent.is_dir() for s in found))
    dataset = SemanticKITTI(root, sequences, frames=frames, labels=labels, cameras=cameras, derived=derived)
    made = ",".join(_there(dataset, found, tuple(f"{c}_pseudo" for c in cameras)))
    if pseudo is not None:
        made = pseudo
        if missing := set(parse_names(pseudo)) - set(_there(dataset, found, parse_names(pseudo))):
            raise DataError(
                f"{layout.root} has no folder {', '.join(sorted(missing))} in any sequence. Make one with "
                "'elite pseudo-label', give --derived if it wrote elsewhere, or leave --pseudo out."
            )
    true = ",".join(_there(dataset, found, tuple(f"{c}_labels" for c in cameras)))
    return DataSource(dataset, answerer, dense=[text for text in (made, true) if text], teacher=teacher)


def _there(dataset: SemanticKITTI, sequences: tuple[str, ...], folders: tuple[str, ...]) -> list[str]:
    """Those of the dense label folders that some sequence has."""

    def has(sequence: str, folder: str) -> bool:
        return dataset.layout_of(folder).dense_labels(sequence, "0", folder, "semantic").parent.is_dir()

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
    """What a new window shows: predictions if there are any, else the truth, else heights."""
    mode = Mode.PREDICTION if source.answers else Mode.TRUTH if source.labelled() else Mode.HEIGHT
    return Choice(mode=mode, dark=not light, safe=safe, follow=isinstance(source, ScanSource))

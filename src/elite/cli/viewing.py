"""The command that shows a data set in the browser, and the window of other commands."""

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from elite.cli.arguments import (
    add_cameras,
    add_compute,
    add_data,
    add_format,
    add_labels,
    add_model,
    add_selection,
)
from elite.cli.parser import Command, Flag, Parser
from elite.cli.scans import load_segmenter, report_unused
from elite.errors import ConfigError, require_extra
from elite.layout import parse_names
from elite.paths import expanded
from elite.terminal import say

if TYPE_CHECKING:
    from elite.prediction_files import PredictionJob
    from elite.taxonomy import Taxonomy

_WINDOW = "Window"


def view(args: Namespace) -> int:
    """Show a data set in the browser: scans, images, labels and predictions."""
    if args.model and args.predictions:
        raise ConfigError("MODEL, --predictions: expected one of the two, found both. Give one of them.")
    require_extra("viser", "view")

    from elite.viewer import (
        StudentPredictor,
        TeacherPredictor,
        first_choice,
        has_teacher,
        open_data,
        open_window,
    )

    predictor = teacher = None
    if args.model:
        predictor = StudentPredictor(load_segmenter(args.model, args))
        teacher = TeacherPredictor(args.model, args.device) if has_teacher(args.model) else None
    source = open_data(
        args.data,
        args.format,
        sequences=args.sequences,
        frames=args.frames,
        labels=args.labels,
        cameras=None if args.cameras is None else parse_names(args.cameras),
        pseudo=args.pseudo,
        derived=args.derived,
        predictor=predictor,
        predictions=args.predictions,
        teacher=teacher,
        taxonomy=args.taxonomy,
        sensor=args.sensor,
    )
    report_unused(source.dataset)
    choice = first_choice(source, light=args.light, safe=args.safe_colors)
    with open_window(source, choice, host=args.host, port=args.port, require_token=args.require_token) as viewer:
        say(f"open {viewer.url} in a browser; Ctrl-C ends it")
        with suppress(KeyboardInterrupt):  # the way to end it
            viewer.wait()
    return 0


def _view_arguments(parser: Parser) -> None:
    add_model(parser, optional=True)
    add_data(parser)
    text = "Folder written by 'elite predict', to show instead of the labels of a MODEL."
    parser.add("--predictions", type=expanded, metavar="FOLDER", help=text)
    text = "Folders of pseudo-labels of images (default: image_2_pseudo or CAM_FRONT_pseudo, ...)."
    parser.add("--pseudo", metavar="NAMES", help=text)
    text = "Folder that 'elite pseudo-label -o' has written, if it is not DATA."
    parser.add("--derived", type=expanded, metavar="FOLDER", help=text)
    add_cameras(parser, None, " (default: all)")
    add_selection(parser)
    add_labels(parser)
    add_format(parser)
    add_window(parser)
    add_compute(parser)


VIEW = Command(view, _view_arguments, "[MODEL] DATA [options]", "elite view student.safetensors kitti --sequences 08")


@contextmanager
def live_window(
    args: Namespace, taxonomy: "Taxonomy", notify: Callable[[str], None]
) -> Iterator[Callable[["PredictionJob"], None]]:
    """Open a window and give the function that shows a labelled scan in it."""
    require_extra("viser", "view")

    from elite.viewer import ScanSource, first_choice, open_window

    source = ScanSource(args.folder.resolve().name, taxonomy)
    choice = first_choice(source, light=args.light, safe=args.safe_colors)
    with open_window(
        source, choice, host=args.host, port=args.port, require_token=args.require_token, live=True
    ) as viewer:

        def show(job: "PredictionJob") -> None:
            source.add(job)
            viewer.wake()

        notify(f"open {viewer.url} in a browser")
        yield show


def add_window(parser: Parser) -> None:
    """Add the options of the window: its address and its colours."""
    host = "Address to listen on. 0.0.0.0 admits other machines, with the token of the printed URL."
    token = "Require the token of the printed URL on this machine too, for machines with other users."
    parser.add("--host", default="127.0.0.1", metavar="ADDRESS", heading=_WINDOW, help=host)
    parser.add("--port", type=int, default=8080, metavar="N", heading=_WINDOW, help="Port to listen on (0 = any free).")
    parser.add("--require-token", action=Flag, heading=_WINDOW, help=token)
    parser.add("--light", action=Flag, heading=_WINDOW, help="Light background.")
    parser.add("--safe-colors", action=Flag, heading=_WINDOW, help="Colour-blind-safe class colours.")

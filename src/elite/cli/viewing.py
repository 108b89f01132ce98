"""The command that opens a window in the browser, and what other commands need to open one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from elite.cli.parsing import add_compute, add_labels, add_selection, load_segmenter, names, report_unused
from elite.errors import ConfigError, require_extra
from elite.terminal import say

if TYPE_CHECKING:
    from elite.inference import Job


def view(parser: ArgumentParser, argv: list[str]) -> int:
    """Look at a data set in the browser: scans, images, labels, and what a checkpoint or saved predictions say."""
    parser.add_argument("root", type=Path, help="folder that holds sequences/")
    parser.add_argument("--checkpoint", type=Path | None, help="a student that labels the scans (with its teacher)")
    parser.add_argument("--predictions", type=Path | None, help="folder that 'elite predict' wrote, instead")
    parser.add_argument("--pseudo", type=str | None, help="folders of dense labels (default: image_2_pseudo, ...)")
    parser.add_argument("--derived", type=Path | None, help="folder of 'elite pseudo-label --out', if it is not ROOT")
    parser.add_argument("--cameras", type=str | None, help="image folders: image_2,image_3, or none (default: all)")
    add_selection(parser)
    add_labels(parser)
    add_window(parser)
    add_compute(parser)
    args = parser.parse_args(argv)
    if args.checkpoint and args.predictions:
        raise ConfigError("--checkpoint and --predictions both tell the labels of the points; give one of them.")
    require_extra("viser", "view")

    from elite.viewer import Files, Student, Teacher, first_choice, has_teacher, open_data, open_window

    answerer, teacher = None, None
    if args.checkpoint:
        answerer = Student(load_segmenter(args.checkpoint, args))
        teacher = Teacher(args.checkpoint, args.device) if has_teacher(args.checkpoint) else None
    elif args.predictions:
        answerer = Files(args.predictions)
    source = open_data(
        args.root,
        sequences=args.sequences,
        frames=args.frames,
        labels=args.labels,
        cameras=None if args.cameras is None else names(args.cameras),
        pseudo=args.pseudo,
        derived=args.derived,
        answerer=answerer,
        teacher=teacher,
    )
    report_unused(source.dataset)
    choice = first_choice(source, light=args.light, safe=args.safe_colors)
    with open_window(source, choice, host=args.host, port=args.port, require_token=args.require_token) as viewer:
        say(f"open {viewer.url} in a browser; Ctrl-C ends it")
        with suppress(KeyboardInterrupt):  # the way to end it
            viewer.wait()
    return 0


@contextmanager
def live_window(args: Namespace, tell: Callable[[str], None]) -> Iterator[Callable[["Job"], None]]:
    """A window that shows each scan as it is labelled: what it gives is to be called with them."""
    require_extra("viser", "view")

    from elite.viewer import ScanSource, first_choice, open_window

    source = ScanSource(args.folder.resolve().name)
    choice = first_choice(source, light=args.light, safe=args.safe_colors)
    with open_window(
        source, choice, host=args.host, port=args.port, require_token=args.require_token, live=True
    ) as viewer:

        def show(job: "Job") -> None:
            source.add(job.scan, job.labels)
            viewer.wake()

        tell(f"open {viewer.url} in a browser")
        yield show


def add_window(parser: ArgumentParser) -> None:
    """Add the window's address and its looks."""
    host = "address to listen on; 0.0.0.0 admits other machines, with the token of the printed URL"
    token = "require the token of the printed URL on this machine too, for machines with other users"
    parser.add_argument("--host", type=str, default="127.0.0.1", help=host)
    parser.add_argument("--port", type=int, default=8080, help="port to listen on (0 = any free one)")
    parser.add_argument("--require-token", action="store_true", help=token)
    parser.add_argument("--light", action="store_true", help="a light ground")
    parser.add_argument("--safe-colors", action="store_true", help="colours that colour-blind eyes tell apart")

"""Commands about pseudo-labels: make them, score them."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from elite.cli.parsing import FAULTY, add_json, bar, parse_config, percent, save_json
from elite.errors import ConfigError, EliteError
from elite.terminal import say

# Settings of what is written, of the processes, and of what the score itself decides.
_UNSCORED = ("out", "folder", "lift", "pictures", "overwrite", "devices", "label_fraction", "label_unit", "strategy")


def pseudo_label(parser: ArgumentParser, argv: list[str]) -> int:
    """Dense labels of a data set's images from the labels of its points: ROOT [--proposer sam --weights FILE]."""
    from elite.config import PseudoLabelConfig

    parser.add_argument("root", type=Path, help="folder that holds sequences/")
    add_json(parser)
    args, config = parse_config(parser, argv, PseudoLabelConfig)

    from elite.processes import Processes
    from elite.pseudo_labels import Summary, generate, open_proposer, training_options

    uses_network = config.proposer == "sam" or config.weights is not None
    processes = Processes(config.devices, config.device if uses_network else "cpu")
    first = processes.rank == 0
    name = f"pseudo-labels (1 of {processes.world} processes)" if processes.world > 1 else "pseudo-labels"

    if first and (options := training_options(args.root, config)):
        say(f"training finds these labels with {options}")

    def share() -> Summary | EliteError:
        try:
            return generate(
                args.root,
                config,
                open_proposer(replace(config, device=processes.device)),
                rank=processes.rank,
                world=processes.world,
                progress=lambda items: bar(items, unit="frame", name=name) if first else items,
            )
        except EliteError as error:  # all meet below: what went wrong in one process is told once, and nobody waits
            return EliteError(str(error))

    shares = processes.gather(share())
    if not first:
        return 0
    for done in shares:
        if isinstance(done, EliteError):
            raise done
    total = sum(shares, Summary())
    say(total.line())
    for failure in total.failures:
        say(f"  {failure}", error=True)
    save_json(args.json, total.to_dict(), "pseudo-label", argv)
    return FAULTY if total.failures else 0


def pseudo_label_score(parser: ArgumentParser, argv: list[str]) -> int:
    """Score pseudo-labels at points that are hidden from the generator, and against dense truth if there is any."""
    from elite.config import PseudoLabelConfig

    parser.add_argument("root", type=Path, help="folder that holds sequences/")
    parser.add_argument(
        "--holdout",
        type=str,
        default="rings:2",
        help="what is hidden: rings:K keeps every K-th laser ring, points:S hides that share; several by commas; none",
    )
    add_json(parser)
    args, config = parse_config(parser, argv, PseudoLabelConfig, skip=_UNSCORED)

    from elite.pseudo_labels import open_proposer
    from elite.pseudo_labels.holdout import parse_holdout
    from elite.pseudo_labels.measure import measure

    rules = [parse_holdout(text) for text in args.holdout.split(",") if args.holdout != "none"]
    scoring = partial(bar, unit="frame", name="scoring")
    result = measure(args.root, config, open_proposer(config), rules, progress=scoring)
    if not result["tests"]:
        raise ConfigError("nothing was compared: give a --holdout, or a data set with image_2_labels.")
    for test, methods in result["tests"].items():
        _print_test(test, methods)
    save_json(args.json, result, "pseudo-label-score", argv)
    return 0


def _print_test(test: str, methods: dict[str, dict[str, Any]]) -> None:
    columns = ["coverage", "accuracy", "miou", "accuracy_all", "miou_all"]
    columns += ["boundary_f", "pq", "leak"] if test == "dense" else []
    say(f"\n{test:20s} " + " ".join(f"{name:>12s}" for name in (*columns, "prompts", "seconds")))
    for method, scores in methods.items():
        cells = [" " * 7 + percent(scores[c]) if scores[c] is not None else f"{'-':>12s}" for c in columns]
        cost = f"{scores['prompts_per_image']:12.1f} {scores['seconds_per_image']:12.2f}"
        say(f"{method:20s} " + " ".join(cells) + f" {cost}")

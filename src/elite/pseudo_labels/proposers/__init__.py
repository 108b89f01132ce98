"""Proposers: sources of regions. One module each; your own class is loaded by its name."""

from typing import TYPE_CHECKING

from elite.config import PseudoLabelConfig
from elite.errors import ConfigError
from elite.plugins import make_plugin

if TYPE_CHECKING:
    from elite.pseudo_labels.records import Proposer


def open_proposer(config: PseudoLabelConfig) -> "Proposer":
    """Create the proposer of the settings, and import its libraries.

    Raises:
        ConfigError: unknown proposer, or missing or superfluous weights.
        MissingExtraError: its library is not installed.
        CheckpointError: the weights cannot be read.
    """
    name = config.proposer or ("sam" if config.weights else "watershed")
    if name == "sam":
        if config.weights is None:
            raise ConfigError(
                "--weights: expected weights for --proposer sam, found none. Give Meta's sam_vit_b, _l or _h .pth, a "
                "transformers folder or a hub id, or use --proposer watershed, which needs no weights."
            )
        from elite.pseudo_labels.proposers.sam import Sam

        return Sam.load(config.weights, device=config.device, precision=config.precision)
    if config.weights is not None:
        raise ConfigError(
            f"--weights: expected none for --proposer {name}, found {config.weights}. Remove --weights, or use "
            "--proposer sam."
        )
    if name == "watershed":
        from elite.pseudo_labels.proposers.watershed import Watershed

        return Watershed()
    from elite.pseudo_labels.records import Proposer

    return make_plugin(name, Proposer)

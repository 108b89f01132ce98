"""Where regions come from: one file each, and yours."""

from typing import TYPE_CHECKING

from elite.config import PseudoLabelConfig
from elite.errors import ConfigError
from elite.plugins import make_plugin

if TYPE_CHECKING:
    from elite.pseudo_labels.records import Proposer


def open_proposer(config: PseudoLabelConfig) -> "Proposer":
    """The proposer that the settings name, its libraries imported now.

    Raises:
        ConfigError: unknown, or without the weights that it needs.
        MissingExtraError: its library is not installed.
        CheckpointError: the weights cannot be read.
    """
    name = config.proposer or ("sam" if config.weights else "watershed")
    if name == "sam":
        if config.weights is None:
            raise ConfigError(
                "proposer sam needs --weights: Meta's sam_vit_b, _l or _h .pth, a transformers folder or a hub id; "
                "without any, --proposer watershed needs none."
            )
        from elite.pseudo_labels.proposers.sam import Sam

        return Sam.load(config.weights, device=config.device, precision=config.precision)
    if config.weights is not None:
        raise ConfigError(f"proposer {name} takes no --weights; leave them out, or give --proposer sam.")
    if name == "watershed":
        from elite.pseudo_labels.proposers.watershed import Watershed

        return Watershed()
    from elite.pseudo_labels.records import Proposer

    return make_plugin(name, Proposer)

"""Dense label of an image from its seeds: prompts, regions, vote."""

import numpy as np

from elite.config import PseudoLabelConfig
from elite.pseudo_labels.prompts import PromptScheduler
from elite.pseudo_labels.records import DenseLabel, LabelledView, Proposer, Seeds
from elite.pseudo_labels.released import label_image_released
from elite.pseudo_labels.seeds import find_seeds
from elite.pseudo_labels.vote import Regions, accept_regions, covered_seeds, paint_regions
from elite.shapes import UInt8


def label_view(view: LabelledView, proposer: Proposer, config: PseudoLabelConfig) -> tuple[DenseLabel, Seeds, Regions]:
    """Label one image of a labelled scan with the configured strategy.

    Returns:
        The dense label, and the seeds and regions that it was made from.

    Raises:
        DataError: no point is in view.
    """
    if config.strategy == "released":
        return label_image_released(view, proposer)
    seeds = find_seeds(view)
    dense, regions = label_image(view.image, seeds, proposer, config)
    return dense, seeds, regions


def label_image(
    image: UInt8[np.ndarray, "h w 3"], seeds: Seeds, proposer: Proposer, config: PseudoLabelConfig
) -> tuple[DenseLabel, Regions]:
    """Propose regions in rounds until every seed is covered or the prompts are used up, then paint them.

    An image without seeds stays unknown.
    """
    if not len(seeds):
        return DenseLabel(np.zeros(seeds.size, np.uint8), np.zeros(seeds.size, np.uint16), 0), Regions.empty(seeds.size)
    session = proposer.open(image, seeds)
    prompts = PromptScheduler(seeds, proposer.max_prompts, config.vote.support)
    rounds: list[Regions] = []
    covered = np.zeros(len(seeds), bool)
    while batch := prompts.next(covered, config.batch):
        rounds.append(accept_regions(session.propose(batch), seeds, config.vote))
        covered |= covered_seeds(rounds[-1], seeds, config.skip_purity)
    regions = Regions.concat(rounds, seeds.size)
    label, instance = paint_regions(regions, seeds)
    return DenseLabel(label, instance, prompts.count), regions

"""Labels of a few pixels to labels of an image: prompts, regions, vote."""

import numpy as np
from jaxtyping import UInt8

from elite.config import PseudoLabelConfig
from elite.pseudo_labels.prompts import Prompts
from elite.pseudo_labels.records import DenseLabel, LabelledView, Proposer, Seeds
from elite.pseudo_labels.released import label_image_as_released
from elite.pseudo_labels.seeds import find_seeds
from elite.pseudo_labels.vote import Regions, covered, judge, paint


def label_view(view: LabelledView, proposer: Proposer, config: PseudoLabelConfig) -> tuple[DenseLabel, Seeds, Regions]:
    """Dense labels of one image of a labelled scan, by the configured strategy, and what they were made of.

    Raises:
        DataError: the camera sees no point.
    """
    if config.strategy == "released":
        return label_image_as_released(view, proposer)
    seeds = find_seeds(view)
    dense, regions = label_image(view.image, seeds, proposer, config)
    return dense, seeds, regions


def label_image(
    image: UInt8[np.ndarray, "h w 3"], seeds: Seeds, proposer: Proposer, config: PseudoLabelConfig
) -> tuple[DenseLabel, Regions]:
    """Ask for regions in rounds until every labelled pixel is covered or the proposer's prompts are used up, then
    paint. An image without labelled pixels stays unknown.
    """
    if not len(seeds):
        return DenseLabel(np.zeros(seeds.size, np.uint8), np.zeros(seeds.size, np.uint16), 0), Regions.none(seeds.size)
    session = proposer.open(image, seeds)
    prompts = Prompts(seeds, proposer.max_prompts, config.vote.support)
    rounds: list[Regions] = []
    done = np.zeros(len(seeds), bool)
    while asked := prompts.next(done, config.batch):
        rounds.append(judge(session.propose(asked), seeds, config.vote))
        done |= covered(rounds[-1], seeds, config.skip_purity)
    regions = Regions.concatenate(rounds, seeds.size)
    label, instance = paint(regions, seeds)
    return DenseLabel(label, instance, prompts.asked), regions

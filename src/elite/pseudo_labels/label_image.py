"""Labels of a few pixels to labels of an image: prompts, regions, vote."""

import numpy as np
from jaxtyping import UInt8

from elite.config import PseudoLabelConfig
from elite.pseudo_labels.prompts import Prompts
from elite.pseudo_labels.records import DenseLabel, Proposer, Seeds
from elite.pseudo_labels.vote import Regions, covered, judge, paint


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
    regions = Regions.none(seeds.size)
    done = np.zeros(len(seeds), bool)
    while asked := prompts.next(done, config.batch):
        fresh = judge(session.propose(asked), seeds, config.vote)
        done |= covered(fresh, seeds, config.skip_purity)
        regions = regions.with_(fresh)
    label, instance = paint(regions, seeds)
    return DenseLabel(label, instance, prompts.asked), regions

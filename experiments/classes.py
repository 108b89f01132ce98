"""Classes of the rendered streets and real frames of the experiments."""

from elite.taxonomy import load_taxonomy

KITTI = load_taxonomy("semantickitti")

"""Data sets in files of one's own, which a ``dataset.yaml`` describes."""

from elite.datasets.described.reader import (
    GENERATED,
    Described,
    described_cameras,
    described_grid,
    described_taxonomy,
    is_described,
)

__all__ = ["GENERATED", "Described", "described_cameras", "described_grid", "described_taxonomy", "is_described"]

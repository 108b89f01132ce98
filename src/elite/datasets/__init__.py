"""Readers of data sets: files in, frames out."""

from elite.datasets.semantickitti import SemanticKITTI

__all__ = ["SemanticKITTI"]

"""Reading, checking, augmenting and batching frames."""

from elite.data.semantickitti import SemanticKITTI

__all__ = ["SemanticKITTI"]

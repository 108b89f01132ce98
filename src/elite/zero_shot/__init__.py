"""Students for any LiDAR without labels: rendered streets, training, score on other rendered streets, model card."""

from typing import TYPE_CHECKING, Any

from elite.zero_shot.config import ZeroShotConfig

if TYPE_CHECKING:
    from elite.zero_shot.plan import ZeroShotPlan
    from elite.zero_shot.run import expected_seconds, make_student

__all__ = ["ZeroShotConfig", "ZeroShotPlan", "expected_seconds", "make_student"]


def __getattr__(name: str) -> Any:
    """Import the renderer and the trainer on first use: ``elite zero-shot --help`` then does not import torch."""
    if name == "ZeroShotPlan":
        from elite.zero_shot.plan import ZeroShotPlan

        return ZeroShotPlan
    if name in ("expected_seconds", "make_student"):
        from elite.zero_shot import run

        return getattr(run, name)
    raise AttributeError(f"module 'elite.zero_shot' has no attribute '{name}'")

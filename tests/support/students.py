"""Students for tests."""

from typing import TypeVar

import torch
from torch import Tensor, nn

from elite.student.engine import Engine, EngineOutput

Module = TypeVar("Module", bound=nn.Module)


def with_random_norms(module: Module, std: float) -> Module:
    """Randomise the batch norms, whose order in a network then matters, and return the module in eval mode."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            nn.init.normal_(norm.running_mean, std=std)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=std)
    return module.eval()


def run_engine(engine: Engine, *inputs: Tensor) -> EngineOutput:
    """Output of the engine as tensors, from tensors."""
    logits, point_group, geometry_s = engine(*(values.numpy() for values in inputs))
    return EngineOutput(torch.from_numpy(logits), torch.from_numpy(point_group), geometry_s)  # type: ignore[arg-type]

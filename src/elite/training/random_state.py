"""The generators that a training step draws from: their state for a checkpoint, and back."""

from collections.abc import Sequence

import torch
from torch import Tensor, distributed

RandomState = dict[str, Tensor]  # by device type: "cpu", and "cuda" of a process that computes there


def random_states(device: torch.device) -> list[RandomState]:
    """Read the generators of every process, by rank. All processes call it together.

    ``device`` is where this process computes. Only that GPU is read: others belong to other processes.
    """
    own = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        own["cuda"] = torch.cuda.get_rng_state(device)
    if not _distributed():
        return [own]
    states: list[RandomState] = [{}] * distributed.get_world_size()
    distributed.all_gather_object(states, own)
    return states


def restore_random_state(states: Sequence[RandomState] | Tensor, device: torch.device) -> None:
    """Set the generators of this process to what ``random_states`` read.

    Without a state for its GPU (the run was on a CPU) that generator is left alone. A tensor is what older versions
    saved: the first process's state on the CPU.
    """
    if isinstance(states, Tensor):
        states = [{"cpu": states}] * (distributed.get_world_size() if _distributed() else 1)
    own = states[distributed.get_rank() if _distributed() else 0]
    torch.set_rng_state(own["cpu"])
    if device.type == "cuda" and "cuda" in own:
        torch.cuda.set_rng_state(own["cuda"], device)


def _distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized()

"""State of the random generators of a training step: save it in a checkpoint, and restore it."""

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
    """Restore the generators of this process from the states that ``random_states`` returned.

    Without a state for the GPU (from a run on a CPU), the generator of the GPU does not change. Older versions saved a
    tensor, the CPU state of the first process.
    """
    if isinstance(states, Tensor):
        states = [{"cpu": states}] * (distributed.get_world_size() if _distributed() else 1)
    own = states[distributed.get_rank() if _distributed() else 0]
    torch.set_rng_state(own["cpu"])
    if device.type == "cuda" and "cuda" in own:
        torch.cuda.set_rng_state(own["cuda"], device)


def _distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized()

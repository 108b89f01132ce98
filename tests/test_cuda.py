"""Requirements of training on a GPU, tested on a CPU: pinned batches, deterministic sums, restored generators."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, distributed
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader

from elite import native
from elite.batches import Batch, Pixels, Views
from elite.data.datamodule import DataModule
from elite.errors import ConfigError
from elite.training.failures import named_errors
from elite.training.random_state import random_states, restore_random_state
from tests.support.runs import distillation_run, module_and_batch, student_run

# ---- batches ------------------------------------------------------------------------------------------------------


def small_batch() -> Batch:
    ints = torch.arange(4)
    pixels = Pixels(ints, torch.zeros(4, 2, dtype=torch.int64))
    views = Views(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), pixels, ints, None, torch.ones(1, dtype=torch.bool))
    return Batch(("00/000000",), torch.rand(4, 3), torch.rand(4), ints, ints, views)


def tensors_of(record: object) -> list[Tensor]:
    """The tensors of a record and of the records in it."""
    if isinstance(record, Tensor):
        return [record]
    return [t for f in fields(record) for t in tensors_of(getattr(record, f.name))] if hasattr(record, "to") else []


def test_loader_with_pinning_pins_every_tensor_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[Tensor] = []

    def pin_memory(tensor: Tensor) -> Tensor:
        pinned.append(tensor.clone())
        return pinned[-1]

    monkeypatch.setattr(Tensor, "pin_memory", pin_memory)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    given = small_batch()
    (loaded,) = DataLoader([given], batch_size=None, pin_memory=True)
    assert isinstance(loaded, Batch)
    assert loaded.ids == given.ids
    assert {id(t) for t in tensors_of(loaded)} == {id(t) for t in pinned}
    assert len(pinned) == 9
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(loaded), tensors_of(given), strict=True))


@pytest.mark.parametrize("pinned", [True, False])
def test_batch_is_copied_without_waiting_from_pinned_memory_only(monkeypatch: pytest.MonkeyPatch, pinned: bool) -> None:
    waits: list[bool] = []

    def to(tensor: Tensor, _device: torch.device, non_blocking: bool) -> Tensor:
        waits.append(not non_blocking)
        return tensor

    monkeypatch.setattr(Tensor, "is_pinned", lambda tensor: pinned)
    monkeypatch.setattr(Tensor, "to", to)
    small_batch().to(torch.device("cuda"))
    assert waits == [not pinned] * 9


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_loaders_pin_batches_for_cuda_only(tiny_kitti: Path, tmp_path: Path, device: str) -> None:
    data = DataModule(student_run(tiny_kitti, tmp_path))
    data.assign_process(0, 1, device)
    assert data.train_dataloader().pin_memory == data.val_dataloader().pin_memory == (device == "cuda")  # type: ignore[union-attr]


# ---- sums in one order --------------------------------------------------------------------------------------------

# What torch.use_deterministic_algorithms lists as failing on CUDA, by the names that operations have inside torch.
WITHOUT_DETERMINISTIC_FORM = re.compile(
    r"grid_sampler_\dd_backward|upsample_(linear1d|bilinear2d|bicubic2d|trilinear3d)_backward|_?adaptive_\w+_backward"
    r"|avg_pool3d_backward|fractional_max_pool\dd_backward|max_unpool\dd|reflection_pad\dd_backward|nll_loss2d_\w+"
    r"|_?ctc_loss_backward|_embedding_bag_dense_backward|put_?|histc|median|kthvalue"
)


class CudaDeterminism(TorchDispatchMode):
    """Collects the operations that would fail, or add floats in any order, on CUDA."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        floats = [a for a in args if isinstance(a, Tensor) and a.is_floating_point()]
        weighted = name == "bincount" and len(floats) > 0
        if WITHOUT_DETERMINISTIC_FORM.fullmatch(name) or (name in ("cumsum", "cumsum_") and floats) or weighted:
            self.found.add(name)
        return func(*args, **(kwargs or {}))


def test_training_step_with_a_teacher_has_a_deterministic_form_on_cuda(
    kitti: Path, tmp_path: Path, foundation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its operations, forward and backward, by plain torch: one that has none would stop the run on CUDA."""
    monkeypatch.setattr(native, "library", lambda: None)
    monkeypatch.setattr("elite.losses.lovasz.library", lambda: None)
    module, batch = module_and_batch(distillation_run(kitti, tmp_path, foundation, backend="torch"))
    with CudaDeterminism() as mode:
        output = module.student(batch.points, batch.remission, batch.batch_index)
        torch.stack(list(module.losses(output, batch).values())).sum().backward()
        maps = torch.zeros(1, 1, 4, 4, requires_grad=True)
        assert not mode.found
        F.grid_sample(maps, torch.zeros(1, 1, 1, 2), align_corners=False).sum().backward()
    assert mode.found == {"grid_sampler_2d_backward"}


def test_named_errors_names_an_operation_without_a_deterministic_form() -> None:
    torch.use_deterministic_algorithms(True)
    try:
        with pytest.raises(ConfigError, match=r"found put_, .*--no-deterministic"), named_errors(processes=1):
            torch.zeros(2).put_(torch.tensor([0]), torch.ones(1))
    finally:
        torch.use_deterministic_algorithms(False)


# ---- generators of a resumed run ----------------------------------------------------------------------------------


@pytest.fixture
def gpu_generators(monkeypatch: pytest.MonkeyPatch) -> dict[torch.device, Tensor]:
    """State of the generator of each GPU, as torch.cuda would keep it."""
    states: dict[torch.device, Tensor] = {}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: states[device].clone())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: states.update({device: state}))
    return states


def test_random_states_restore_the_generators_of_this_process_and_its_gpu(gpu_generators) -> None:
    gpu, other = torch.device("cuda:1"), torch.device("cuda:0")
    gpu_generators |= {gpu: torch.tensor([1, 2]), other: torch.tensor([7])}
    saved = random_states(gpu)
    expected = torch.rand(3)
    gpu_generators |= {gpu: torch.tensor([3, 4]), other: torch.tensor([8])}
    restore_random_state(saved, gpu)
    assert torch.equal(torch.rand(3), expected)
    assert [gpu_generators[d].tolist() for d in (gpu, other)] == [[1, 2], [8]]


def test_random_states_of_two_processes_return_to_their_own_ranks(gpu_generators, monkeypatch) -> None:
    gpu, first = torch.device("cuda:0"), {"cpu": torch.get_rng_state(), "cuda": torch.tensor([5])}
    gpu_generators[gpu] = torch.tensor([6])  # of rank 1, this process

    def gather(every: list[Any], own: Any) -> None:
        every[:] = [first, own]

    for name, value in {"is_initialized": True, "get_world_size": 2, "get_rank": 1}.items():
        monkeypatch.setattr(distributed, name, lambda value=value: value)
    monkeypatch.setattr(distributed, "all_gather_object", gather)
    torch.rand(1)
    saved = random_states(gpu)
    expected = torch.rand(3)
    gpu_generators[gpu] = torch.tensor([0])
    restore_random_state(saved, gpu)
    assert torch.equal(torch.rand(3), expected)
    assert gpu_generators[gpu].tolist() == [6]


def test_random_states_of_a_cpu_leave_the_gpu_alone(gpu_generators) -> None:
    gpu, saved = torch.device("cuda:0"), random_states(torch.device("cpu"))
    gpu_generators[gpu] = torch.tensor([6])
    expected = torch.rand(3)
    for states in (saved, saved[0]["cpu"]):  # the second as older versions saved it
        restore_random_state(states, gpu)
        assert torch.equal(torch.rand(3), expected)
    assert gpu_generators[gpu].tolist() == [6]

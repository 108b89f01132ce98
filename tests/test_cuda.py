"""What training needs on a GPU, shown on a CPU: pinned batches, sums in one order, the generators of a resumed run."""

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from elite.data.datamodule import DataModule
from elite.types import Batch, Pixels, Views
from tests.test_training import config

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
    data = DataModule(config(tiny_kitti, tmp_path))
    strategy = SimpleNamespace(root_device=torch.device(device))
    data.trainer = SimpleNamespace(global_rank=0, world_size=1, strategy=strategy)  # type: ignore[assignment]
    assert data.train_dataloader().pin_memory == data.val_dataloader().pin_memory == (device == "cuda")  # type: ignore[union-attr]

"""Checkpoint files of foreign training code."""

import argparse
import collections
import io
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.bool)
DTYPES += (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
NEW_DTYPES = (torch.uint16, torch.float8_e4m3fn)  # torch cannot read them in the older format


@contextmanager
def other_code(**classes: type) -> Iterator[None]:
    """Make classes importable as "package.module.Name" (given as package__module__Name) while a file is written."""
    modules: dict[str, types.ModuleType] = {}
    for name, value in classes.items():
        *path, value.__name__ = name.split("__")
        value.__qualname__, value.__module__ = value.__name__, ".".join(path)
        for i in range(len(path)):
            modules.setdefault(".".join(path[: i + 1]), types.ModuleType(".".join(path[: i + 1])))
        setattr(modules[value.__module__], value.__name__, value)
    assert not modules.keys() & {"torch", "lightning", "elite"}
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        yield


class EasyDict(dict):
    """Dictionary whose entries are attributes too, as in the package of that name."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__()
        for name, value in values.items():
            self[name] = EasyDict(value) if isinstance(value, dict) else value
            self.__dict__[name] = self[name]


class ListConfig(collections.UserList):
    """List with additional state, as in OmegaConf."""

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("never called")


class Ratio(float):
    """Float that pickle constructs by __new__ with arguments."""

    def __new__(cls, *, value: float = 0.5) -> "Ratio":
        return super().__new__(cls, value)

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, float]]:
        return (), {"value": 0.5}


def lightning_1_3_state(state: dict[str, Any], callback: type) -> dict[str, Any]:
    """Content that Lightning 1.3 wrote for 2DPASS: EasyDict settings, callbacks by class, optimiser state."""
    optimizer = {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
    settings = EasyDict({"train_params": {"max_num_epochs": 64}, "names": ["a"], "ratio": 0.5})
    return {
        "epoch": 63,
        "pytorch-lightning_version": "1.3.8",
        "state_dict": collections.OrderedDict(state),
        "callbacks": {callback: {"best_model_score": torch.tensor(0.7), "dirpath": Path("logs")}},
        "optimizer_states": [optimizer],
        "lr_schedulers": [{"lr": np.float64(0.1), "milestones": collections.Counter({10: 1})}],
        "hparams_name": "config",
        "hyper_parameters": settings,
        "args": argparse.Namespace(lr=0.1, seeds={1, 2}, queue=collections.deque([1])),
    }


def published_bytes(state: dict[str, Any], *, packed: bool = True, protocol: int = 2) -> bytes:
    """File with the content of ``lightning_1_3_state``, in the zip format or (not ``packed``) that before torch 1.6."""

    class ModelCheckpoint:
        pass

    settings: dict[str, Any] = {"_use_new_zipfile_serialization": packed, "pickle_protocol": protocol}
    buffer = io.BytesIO()
    with other_code(
        easydict__EasyDict=EasyDict, pytorch_lightning__callbacks__model_checkpoint__ModelCheckpoint=ModelCheckpoint
    ):
        torch.save(lightning_1_3_state(state, ModelCheckpoint), buffer, **settings)
    return buffer.getvalue()


def plain_content(dtypes: tuple[torch.dtype, ...]) -> dict[str, Any]:
    base = torch.arange(24.0).view(4, 6)
    numbers = {str(dtype): torch.arange(6).view(2, 3).to(dtype) for dtype in dtypes}
    views = {"base": base, "row": base[2], "columns": base[:, 1:3].T, "one": torch.ones(1).expand(5)}
    values: list[Any] = [1, -1, 2**40, 2**200, 0.5, True, None, "é", b"\0\xff", (1, (2, [3])), {}, [], ()]
    return {
        "numbers": numbers,
        "views": views,
        "empty": [torch.zeros(0), torch.zeros(3, 0, 2), torch.zeros(())],
        "parameter": torch.nn.Parameter(torch.ones(2)).detach(),
        "values": values,
        "dtype": torch.float16,
        "size": tuple(torch.zeros(2, 3).shape),
        3: {True: "a", None: "b", b"c": "d"},
    }

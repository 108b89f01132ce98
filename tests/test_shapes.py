"""The shape checks that run in all tests."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float32

from elite.losses import lovasz_softmax
from elite.types import Scan
from tests.support.shapes import check_shapes


@pytest.mark.parametrize("n", [3, 4])
def test_shape_check_of_matching_arguments_passes(n: int) -> None:
    lovasz_softmax(torch.zeros(n, 20), torch.ones(n, dtype=torch.int64))
    Scan(np.zeros((n, 3), np.float32), np.zeros(n, np.float32))


@pytest.mark.parametrize(("rows", "dtype"), [(4, torch.int64), (3, torch.int32)])
def test_shape_check_of_another_length_or_dtype_fails(rows: int, dtype: torch.dtype) -> None:
    with pytest.raises(BeartypeCallHintViolation, match="labels"):
        lovasz_softmax(torch.zeros(3, 20), torch.ones(rows, dtype=dtype))


@pytest.mark.parametrize(("count", "dtype"), [(4, np.float32), (3, np.float64)])
def test_shape_check_of_a_record_with_another_length_or_dtype_fails(count: int, dtype: type) -> None:
    with pytest.raises(BeartypeCallHintViolation, match="remission"):
        Scan(np.zeros((3, 3), np.float32), np.zeros(count, dtype))


def test_shape_check_of_a_generator_within_a_function_has_axes_of_its_own() -> None:
    @check_shapes
    def lengths(values: Float32[np.ndarray, "n"]) -> Iterator[int]:
        yield len(values)

    @check_shapes
    def outer(values: Float32[np.ndarray, "n"], part: Float32[np.ndarray, "m"]) -> list[int]:
        return [*lengths(part), *lengths(values)]

    assert outer(np.zeros(3, np.float32), np.zeros(2, np.float32)) == [2, 3]


def test_shape_check_of_a_repeated_call_finds_another_result() -> None:
    @check_shapes
    def grown(values: Float32[np.ndarray, "n"], times: int) -> Float32[np.ndarray, "n"]:
        return np.repeat(values, times)

    for count in (2, 3, 2):
        assert len(grown(np.zeros(count, np.float32), 1)) == count
        with pytest.raises(BeartypeCallHintViolation, match="return"):
            grown(np.zeros(count, np.float32), 2)
    with pytest.raises(BeartypeCallHintViolation, match="values"):
        grown(np.zeros(2), times=1)


def test_shape_check_of_items_is_that_of_each_call() -> None:
    @check_shapes
    def total(*parts: Float32[np.ndarray, "n"]) -> int:
        return sum(map(len, parts))

    rows = np.zeros(3, np.float32)
    assert [total(rows), total(rows, rows), total(rows)] == [3, 6, 3]
    with pytest.raises(BeartypeCallHintViolation):
        total(rows, rows[:2])

"""Batch norm over rows by the native kernels, with statistics in double precision. R = rows, C = channels."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from elite.native.gradients import column_sums, combine
from elite.shapes import Float32, Float64


def batch_norm(x: Float32[Tensor, "r c"], norm: nn.BatchNorm1d) -> Float32[Tensor, "r c"]:
    """Compute ``norm(x)`` in training mode, and update its running statistics."""
    return _BatchNorm1d.apply(x, norm.weight, norm.bias, norm)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class BatchStatistics:
    """Mean and 1 / standard deviation of each channel over the ``count`` rows of a batch."""

    mean: Float64[Tensor, "c"]
    inverse: Float64[Tensor, "c"]
    count: int

    @classmethod
    def update(cls, x: Float32[Tensor, "r c"], norm: nn.BatchNorm1d) -> "BatchStatistics":
        """Return the statistics of ``x``, and update the running statistics of ``norm`` with them."""
        count = len(x)
        total, squares, _ = column_sums(x, x)
        mean = total / count
        variance = (squares / count - mean.square()).clamp_(min=0)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
        momentum = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
        norm.running_mean.lerp_(mean.float(), momentum)
        norm.running_var.lerp_((variance * (count / (count - 1))).float(), momentum)
        return cls(mean, (variance + norm.eps).rsqrt(), count)

    def scale_and_shift(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return (scale, shift) of the norm: its output is input * scale + shift."""
        scale = self.inverse * weight
        return scale.float(), (bias - self.mean * scale).float()

    def gradients(
        self, weight: Tensor, grad_sum: Tensor, product_sum: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Return gradients (weight, bias, (a, b, c)) from the sums of grad and of grad * input.

        The gradient of the input is a grad + b input + c.
        """
        grad_weight = (product_sum - self.mean * grad_sum) * self.inverse
        a = self.inverse * weight
        b = -a * self.inverse * grad_weight / self.count
        c = -a * grad_sum / self.count - b * self.mean
        return grad_weight.float(), grad_sum.float(), (a.float(), b.float(), c.float())


class _BatchNorm1d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, norm: nn.BatchNorm1d) -> Tensor:
        ctx.statistics = BatchStatistics.update(x, norm)
        ctx.save_for_backward(x, weight)
        out = torch.empty_like(x)
        combine(out, x, *ctx.statistics.scale_and_shift(weight, bias))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        grad = grad.contiguous()
        total, product, _ = column_sums(grad, x)
        grad_weight, grad_bias, (a, b, c) = ctx.statistics.gradients(weight, total, product)
        out = torch.empty_like(x)
        combine(out, grad, a, c, second=x, second_scale=b)
        return out, grad_weight, grad_bias, None

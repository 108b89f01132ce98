"""Gradients of the submanifold convolution, for every backend that provides its products."""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, autograd
from torch.autograd.function import once_differentiable

from elite.shapes import Float

Pairs = TypeVar("Pairs")


def convolve_with_gradients(
    feats: Float[Tensor, "v c_in"],
    weight: Float[Tensor, "27 c_in c_out"],
    pairs: Pairs,
    *,
    product: Callable[[Tensor, Tensor, Pairs], Tensor],
    weight_gradient: Callable[[Tensor, Tensor, Pairs], Tensor],
) -> Float[Tensor, "v c_out"]:
    """Compute ``product(feats, weight, pairs)`` with gradients.

    Args:
        pairs: the neighbours, in the form that the two functions read.
        product: the convolution, without gradients; also computes the gradient of the features, from mirrored weights.
        weight_gradient: the weight's gradient, from the features, the output's gradient and the pairs.
    """
    return _SubmanifoldConvolution.apply(feats, weight, pairs, product, weight_gradient)  # type: ignore[no-any-return]


def mirror(weight: Float[Tensor, "27 c_in c_out"]) -> Float[Tensor, "27 c_out c_in"]:
    """Weights that give the gradient of the features: if j is i's neighbour at k, then i is j's at 26 - k."""
    return weight.flip(0).transpose(1, 2).contiguous()


class _SubmanifoldConvolution(autograd.Function):
    @staticmethod
    def forward(ctx: Any, feats: Tensor, weight: Tensor, pairs: Any, product: Any, weight_gradient: Any) -> Tensor:
        ctx.save_for_backward(feats, weight)
        ctx.pairs, ctx.product, ctx.weight_gradient = pairs, product, weight_gradient
        return product(feats, weight, pairs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        feats, weight = ctx.saved_tensors
        grad = grad.contiguous()
        grad_feats = ctx.product(grad, mirror(weight), ctx.pairs) if ctx.needs_input_grad[0] else None
        grad_weight = ctx.weight_gradient(feats, grad, ctx.pairs) if ctx.needs_input_grad[1] else None
        return grad_feats, grad_weight, None, None, None

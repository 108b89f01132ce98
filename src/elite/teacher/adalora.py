"""AdaLoRA's schedule and its allocation of ranks (Zhang et al., ICLR 2023, Algorithm 1)."""

import math
from fractions import Fraction
from typing import Any

import torch
from jaxtyping import Float
from peft.tuners.adalora import RankAllocator
from torch import Tensor, nn

from elite.config import AdapterConfig
from elite.errors import ConfigError


def schedule(config: AdapterConfig, total_steps: int | None) -> dict[str, int]:
    """AdaLoRA's phases in optimiser steps, by peft's names: shares of ``total_steps``, rounded down.

    Raises:
        ConfigError: one of the phases would be empty.
    """
    total = total_steps or 0
    tinit, tfinal = _share(config.initial, total), _share(config.final, total)
    if tinit < 1 or tfinal < 1 or tinit + tfinal >= total:
        raise ConfigError(
            f"AdaLoRA's schedule needs the number of optimiser steps and at least "
            f"{math.ceil(1 / min(config.initial, config.final))} of them, found {total_steps}; train longer, or set "
            "teacher.adapter.method to lora."
        )
    return {"total_step": total, "tinit": tinit, "tfinal": tfinal, "deltaT": max(1, _share(config.interval, total))}


def _share(share: float, total: int) -> int:
    """floor(share * total) of the share that was meant: as floats, 0.29 * 100 is below 29."""
    return math.floor(Fraction(share).limit_denominator(1_000_000) * total)


class Allocator(RankAllocator):
    """peft's allocator with an exact budget: when importances tie, peft prunes all of the tied ones.

    Ties arise wherever no gradient arrives (a start without any image), since importance is 0 there. Also, parameters
    without gradient are passed over, where peft fails; and masks are tensors (rank, 1) beside the singular values,
    where peft's lists are copied to the device at every step.
    """

    @torch.no_grad()
    def update_ipt(self, model: nn.Module) -> None:
        """Smooth |parameter x gradient| and its uncertainty (AdaLoRA, equations 9 and 10)."""
        live = {n: p for n, p in model.named_parameters() if "lora_" in n and p.grad is not None}
        if not live or not _finite([p.grad for p in live.values()]):  # one overflow would spoil the averages for good
            return
        for averages in (self.exp_avg_ipt, self.exp_avg_unc):
            for n, p in live.items():  # a state that was loaded may lie on another device
                averages[n] = averages[n].to(p.device) if n in averages else torch.zeros_like(p)
        many: Any = torch  # one launch for all tensors instead of one each
        sensitivity = many._foreach_abs(many._foreach_mul(list(live.values()), [p.grad for p in live.values()]))
        importance = [self.exp_avg_ipt[n] for n in live]
        many._foreach_lerp_(importance, sensitivity, 1 - self.beta1)
        deviation = many._foreach_abs(many._foreach_sub(sensitivity, importance))
        many._foreach_lerp_([self.exp_avg_unc[n] for n in live], deviation, 1 - self.beta2)

    @torch.no_grad()
    def mask_to_budget(self, model: nn.Module, budget: int) -> dict[str, Tensor]:
        """Zero all singular values but the ``budget`` most important ones; the masks, True = kept."""
        parameters = dict(model.named_parameters())
        scores = torch.stack([self._triplet_scores(name, parameters) for name in self.name_set], dim=1)
        # (rank, layers): ties are broken rank by rank, that is, shared out evenly among the layers.
        kept = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
        kept[scores.flatten().argsort(descending=True, stable=True)[:budget]] = True
        columns = kept.view_as(scores).split(1, dim=1)
        masks = {name % "lora_E": mask.clone() for name, mask in zip(self.name_set, columns, strict=True)}
        self.mask_using_rank_pattern(model, masks)
        return masks

    @torch.no_grad()
    def mask_using_rank_pattern(self, model: nn.Module, rank_pattern: dict[str, Tensor]) -> None:
        for name, p in model.named_parameters():
            if name in rank_pattern:
                p.masked_fill_(~rank_pattern[name].to(p.device), 0.0)

    def _triplet_scores(self, name: str, parameters: dict[str, nn.Parameter]) -> Float[Tensor, "rank"]:
        """Importance of each singular value with its vectors (equations 7 and 8)."""
        a, b, e = (self._score(n, parameters[n]) for n in (name % "lora_A", name % "lora_B", name % "lora_E"))
        return e[:, 0] + a.mean(dim=1) + b.mean(dim=0)

    def _score(self, name: str, p: nn.Parameter) -> Float[Tensor, "_ _"]:
        if name not in self.exp_avg_ipt:
            return torch.zeros_like(p)
        return self._element_score(name).to(p.device)


def _finite(tensors: list[Any]) -> bool:
    many: Any = torch
    return bool(torch.stack(many._foreach_norm(tensors)).isfinite().all())


def distance_from_orthonormal(rows: Float[Tensor, "n rank d"]) -> Float[Tensor, "n"]:
    product = rows.float() @ rows.float().mT
    return torch.linalg.matrix_norm(product - torch.eye(product.shape[-1], device=rows.device))

"""Schedule and rank allocation of AdaLoRA (Zhang et al., ICLR 2023, Algorithm 1)."""

import math
from fractions import Fraction
from typing import Any

import torch
from peft.tuners.adalora import RankAllocator
from torch import Tensor, nn

from elite.config import AdapterConfig
from elite.errors import ConfigError
from elite.shapes import Float


def schedule(config: AdapterConfig, total_steps: int | None) -> dict[str, int]:
    """Phases of AdaLoRA in optimiser steps, by the names of peft: shares of ``total_steps``, rounded down.

    Raises:
        ConfigError: a phase would be empty.
    """
    total = total_steps or 0
    tinit, tfinal = _share(config.initial, total), _share(config.final, total)
    if tinit < 1 or tfinal < 1 or tinit + tfinal >= total:
        raise ConfigError(
            f"AdaLoRA: expected at least {math.ceil(1 / min(config.initial, config.final))} optimiser steps, found "
            f"{total_steps}. Train longer, or use --teacher.adapter.method lora."
        )
    return {"total_step": total, "tinit": tinit, "tfinal": tfinal, "deltaT": max(1, _share(config.interval, total))}


def _share(share: float, total: int) -> int:
    """floor(share * total) with the decimal value of ``share``: in floats, 0.29 * 100 is below 29."""
    return math.floor(Fraction(share).limit_denominator(1_000_000) * total)


class Allocator(RankAllocator):
    """Allocator of peft with an exact budget; peft itself prunes all singular values whose importances tie.

    Importances tie at 0 as long as no gradient has arrived, such as at a start without images. Parameters without
    gradient are skipped; peft fails on them. Masks are tensors (rank, 1) on the device of the singular values; peft
    copies lists to the device at each step.
    """

    @torch.no_grad()
    def update_ipt(self, model: nn.Module) -> None:
        """Smooth |parameter x gradient| and its uncertainty (AdaLoRA, equations 9 and 10)."""
        live = {n: p for n, p in model.named_parameters() if "lora_" in n and p.grad is not None}
        if not live or not _finite(
            [p.grad for p in live.values()]
        ):  # an overflow would make the averages infinite permanently
            return
        for averages in (self.exp_avg_ipt, self.exp_avg_unc):
            for n, p in live.items():  # a loaded state may be on another device
                averages[n] = averages[n].to(p.device) if n in averages else torch.zeros_like(p)
        many: Any = torch  # one kernel launch for all tensors
        sensitivity = many._foreach_abs(many._foreach_mul(list(live.values()), [p.grad for p in live.values()]))
        importance = [self.exp_avg_ipt[n] for n in live]
        many._foreach_lerp_(importance, sensitivity, 1 - self.beta1)
        deviation = many._foreach_abs(many._foreach_sub(sensitivity, importance))
        many._foreach_lerp_([self.exp_avg_unc[n] for n in live], deviation, 1 - self.beta2)

    @torch.no_grad()
    def mask_to_budget(self, model: nn.Module, budget: int) -> dict[str, Tensor]:
        """Zero all singular values except the ``budget`` most important ones. Returns masks, True = kept."""
        parameters = dict(model.named_parameters())
        scores = torch.stack([self._triplet_scores(name, parameters) for name in self.name_set], dim=1)
        # (rank, layers): ties are broken rank by rank, which distributes them evenly over the layers.
        kept = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
        kept[scores.flatten().argsort(descending=True, stable=True)[:budget]] = True
        columns = kept.view_as(scores).split(1, dim=1)
        masks = {name % "lora_E": mask.clone() for name, mask in zip(self.name_set, columns, strict=True)}
        self.mask_using_rank_pattern(model, masks)
        return masks

    @torch.no_grad()
    def mask_using_rank_pattern(self, model: nn.Module, rank_pattern: dict[str, Tensor]) -> None:
        """Zero the singular values outside the masks."""
        for name, p in model.named_parameters():
            if name in rank_pattern:
                p.masked_fill_(~rank_pattern[name].to(p.device), 0.0)

    def _triplet_scores(self, name: str, parameters: dict[str, nn.Parameter]) -> Float[Tensor, "rank"]:
        """Importance of each singular value and its singular vectors (equations 7 and 8)."""
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
    """Frobenius norms of R R^T - I."""
    product = rows.float() @ rows.float().mT
    return torch.linalg.matrix_norm(product - torch.eye(product.shape[-1], device=rows.device))

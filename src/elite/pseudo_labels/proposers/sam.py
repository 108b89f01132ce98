"""Regions by SAM, SAM 2 or SAM-HQ: the image is encoded once, then every prompt costs a pass of the small decoder.

A prompt is its points and a mask prompt: what is known of the neighbourhood, drawn from the seeds.

Source: Kirillov et al., Segment Anything, 2023; Ravi et al., SAM 2, 2024; Ke et al., Segment Anything in High Quality,
2023; through transformers.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from transformers import PreTrainedModel, Sam2Model, SamHQModel, SamModel

from elite.device import pick_device
from elite.errors import CheckpointError, ConfigError, DataError
from elite.pseudo_labels.proposers.placement import (
    Placement,
    full_size,
    mask_prompts,
    place,
    point_prompts,
    stability,
    to_square,
)
from elite.pseudo_labels.records import Masks, Prompt, Seeds
from elite.teacher.pretrained import described_by, load_pretrained
from elite.teacher.sam_weights import load_sam

_MODELS: dict[str, type[PreTrainedModel]] = {
    "sam": SamModel,
    "sam_hq": SamHQModel,
    "sam2": Sam2Model,
    "sam2_video": Sam2Model,  # the same weights and a memory, which single images do not need
}
_REMEDY = "give Meta's sam_vit_b, _l or _h .pth, or the transformers folder or hub id of a whole SAM, SAM 2 or SAM-HQ"


class Sam:
    """A proposer: SAM, SAM 2 or SAM-HQ asked for the region of one segment at a time, three answers to each prompt.

    Args:
        model: transformers' SamModel, Sam2Model or SamHQModel, in float32; it is put into eval mode.
        device: auto, cpu, cuda.
        precision: bf16 runs the network in mixed precision.
        batch: prompts decoded at once; it bounds the memory and changes nothing else.
        max_prompts: how many prompts an image is worth.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        device: str = "cpu",
        precision: Literal["fp32", "bf16"] = "fp32",
        batch: int = 16,
        max_prompts: int = 75,
    ) -> None:
        if precision not in ("fp32", "bf16"):
            raise ConfigError(f"'{precision}' is no precision of SAM's; expected fp32 or bf16.")
        self.device = pick_device(device)
        self.model = model.to(self.device).eval()  # type: ignore[arg-type]
        self.precision = precision
        self.batch = batch
        self.max_prompts: int | None = max_prompts

    @classmethod
    def load(cls, weights: str, *, device: str = "auto", **settings: Any) -> "Sam":
        """SAM from Meta's .pth, or SAM, SAM 2 or SAM-HQ from a transformers folder or the hub. Strict.

        Raises:
            CheckpointError: weights that cannot be read, that do not fit, or that are an image encoder alone.
        """
        path = Path(weights)
        return cls(load_sam(path) if path.is_file() else _load_folder(weights), device=device, **settings)

    def open(self, image: UInt8[np.ndarray, "h w 3"], seeds: Seeds) -> "SamSession":
        """Encode the image, once.

        Raises:
            DataError: the seeds are of an image of another size.
        """
        if image.shape[:2] != seeds.size:
            raise DataError(
                f"the image is {image.shape[0]} x {image.shape[1]} pixels (rows x columns) but its seeds are of one of "
                f"{seeds.size[0]} x {seeds.size[1]}; find them with the image's own size."
            )
        placement = place(self.model.config, seeds.size)
        with torch.inference_mode(), self._mixed():
            embedding = _encode(self.model, to_square(image, placement).to(self.device))
        return SamSession(self, embedding, seeds, placement)

    def describe(self) -> dict[str, Any]:
        """Name, architecture, hash of the weights, precision, number of prompts."""
        return {
            "name": "sam",
            "architecture": self.model.config.model_type,
            "weights": self.weights_hash,
            "precision": self.precision,
            "max_prompts": self.max_prompts,
        }

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 over names, shapes and values of all weights, by name."""
        digest = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def _mixed(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")


@dataclass(frozen=True)
class SamSession:
    """One encoded image."""

    sam: Sam
    embedding: dict[str, Any]
    seeds: Seeds
    placement: Placement

    def propose(self, prompts: list[Prompt]) -> Masks:
        """Every answer of the network to every prompt, in the prompts' order.

        They take answers x rows x columns bytes: 22 MB for those to 16 prompts on an image of KITTI. Logits at full
        size, eight times as much, exist for one batch at a time.
        """
        answers: dict[int, Masks] = {}
        for chosen in _batches([len(p.points) for p in prompts], self.sam.batch):
            answers |= self._decode(prompts, chosen)
        return Masks.concatenate([answers[i] for i in range(len(prompts))], self.seeds.size)

    @torch.inference_mode()
    def _decode(self, prompts: list[Prompt], chosen: list[int]) -> dict[int, Masks]:
        """Answers to the ``chosen`` prompts, which have equally many points."""
        given = self._inputs([prompts[i] for i in chosen])
        with self.sam._mixed():
            out: Any = self.sam.model(**_repeated(self.embedding, len(chosen)), **given, multimask_output=True)
        logits, iou = out.pred_masks[:, 0].float(), out.iou_scores[:, 0].float().clamp(0, 1)
        arrays = full_size(logits, self.placement) > 0, iou, stability(logits, self.placement)
        answers = zip(chosen, *(t.cpu().numpy() for t in arrays), strict=True)
        return {i: Masks(np.full(len(iou), i), inside, iou, stable) for i, inside, iou, stable in answers}

    def _inputs(self, prompts: list[Prompt]) -> dict[str, Tensor]:
        xy = torch.from_numpy(point_prompts(self.placement, prompts))
        masks = mask_prompts(self.seeds, self.placement, prompts)[:, None]
        inputs = {
            "input_points": xy,
            "input_labels": torch.ones(xy.shape[:3], dtype=torch.int64),
            "input_masks": torch.from_numpy(masks),
        }
        return {name: value.to(self.sam.device) for name, value in inputs.items()}


def _batches(points: list[int], batch: int) -> Iterator[list[int]]:
    """Prompts by their numbers of points, at most ``batch`` of equal number at once.

    A point that pads is not masked in the decoder's attention: the answer would depend on what else is in the batch.
    """
    for count in sorted(set(points)):
        alike = [i for i, n in enumerate(points) if n == count]
        yield from (alike[i : i + batch] for i in range(0, len(alike), batch))


# ---- where the three models differ ----------------------------------------------------------------------------


def _encode(model: Any, pixels: Tensor) -> dict[str, Any]:
    """What ``model`` takes instead of the image: tensors whose first axis is the image, and lists of them."""
    embedding = model.get_image_embeddings(pixels)
    if isinstance(model, SamHQModel):
        # The decoder uses the first of the intermediate maps only; the others are not worth keeping.
        return {"image_embeddings": embedding[0], "intermediate_embeddings": list(embedding[1][:1])}
    return {"image_embeddings": embedding}


def _repeated(embedding: dict[str, Any], times: int) -> dict[str, Any]:
    """The embedding as if there were ``times`` images; nothing is copied."""

    def repeat(value: Any) -> Any:
        return [repeat(v) for v in value] if isinstance(value, list) else value.expand(times, -1, -1, -1)

    # SAM-HQ adds its intermediate map to a map of every image: one will do for all, and is convolved once.
    return {name: v if name == "intermediate_embeddings" else repeat(v) for name, v in embedding.items()}


# ---- loading --------------------------------------------------------------------------------------------------


def _load_folder(source: str) -> PreTrainedModel:
    described = described_by(source, option="--weights")
    kind = described.model_type
    if kind not in _MODELS:
        raise CheckpointError(f"'{source}' {_why_not(kind)}; {_REMEDY}.")
    model, missing, unexpected = load_pretrained(_MODELS[kind], described, source)
    for names, verb in ((missing, "lacks"), (unexpected, "holds unknown")):
        if names:
            raise CheckpointError(
                f"'{source}' {verb} {len(names)} weights of {kind}, the first is '{names[0]}'; {_REMEDY}."
            )
    return model


def _why_not(kind: str) -> str:
    if kind.endswith("vision_model"):
        return f"is an image encoder alone ({kind}), which cannot be prompted: it has no mask decoder"
    return f"is a model of type {kind}, expected one of {', '.join(_MODELS)}"

"""Regions by SAM, SAM 2 or SAM-HQ: the image is encoded once; every prompt costs one pass of the small decoder.

The network receives the points of a prompt and a mask prompt that is drawn from the seeds.

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
from elite.shapes import UInt8
from elite.teacher.pretrained import load_pretrained, read_architecture
from elite.teacher.sam_weights import load_sam

_MODELS: dict[str, type[PreTrainedModel]] = {
    "sam": SamModel,
    "sam_hq": SamHQModel,
    "sam2": Sam2Model,
    "sam2_video": Sam2Model,  # the same weights with a memory, which single images do not use
}
_REMEDY = "Give Meta's sam_vit_b, _l or _h .pth, or a transformers folder or hub id of a SAM, SAM 2 or SAM-HQ"


class Sam:
    """Proposer with SAM, SAM 2 or SAM-HQ: three masks for each prompt.

    Args:
        model: SamModel, Sam2Model or SamHQModel of transformers, in float32; switched to eval mode.
        device: auto, cpu, cuda.
        precision: bf16 runs the network in mixed precision.
        batch: prompts per pass of the decoder; bounds the memory and does not change the result.
        max_prompts: maximum number of prompts per image.
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
            raise ConfigError(f"--precision: expected fp32 or bf16, found '{precision}'. Give one of these.")
        self.device = torch.device(pick_device(device))
        self.model = model.to(self.device).eval()  # type: ignore[arg-type]
        self.precision = precision
        self.batch = batch
        self.max_prompts: int | None = max_prompts

    @classmethod
    def load(cls, weights: str, *, device: str = "auto", **settings: Any) -> "Sam":
        """Load SAM from Meta's .pth, or SAM, SAM 2 or SAM-HQ from a transformers folder or the hub.

        Raises:
            CheckpointError: the weights cannot be read, do not fit, or are an image encoder without a mask decoder.
        """
        path = Path(weights)
        return cls(load_sam(path) if path.is_file() else _load_folder(weights), device=device, **settings)

    def open(self, image: UInt8[np.ndarray, "h w 3"], seeds: Seeds) -> "SamSession":
        """Encode the image.

        Raises:
            DataError: the seeds belong to an image of another size.
        """
        if image.shape[:2] != seeds.size:
            raise DataError(
                f"image: expected {seeds.size[0]} x {seeds.size[1]} pixels (rows x columns) as for the seeds, found "
                f"{image.shape[0]} x {image.shape[1]}. Find the seeds with the size of this image."
            )
        placement = place(self.model.config, seeds.size)
        with torch.inference_mode(), self._mixed():
            embedding = _encode(self.model, to_square(image, placement).to(self.device))
        return SamSession(self, embedding, seeds, placement)

    def describe(self) -> dict[str, Any]:
        """Return name, architecture, hash of the weights, precision and number of prompts."""
        return {
            "name": "sam",
            "architecture": self.model.config.model_type,
            "weights": self.weights_hash,
            "precision": self.precision,
            "max_prompts": self.max_prompts,
        }

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 over names, shapes and values of all weights, in the order of the names."""
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
        """Return all masks of all prompts, in the order of the prompts.

        Memory: masks x rows x columns bytes (22 MB for 16 prompts on an image of KITTI). Logits at full size need eight
        times as much, for one batch at a time.
        """
        masks: dict[int, Masks] = {}
        for chosen in _batches([len(p.points) for p in prompts], self.sam.batch):
            masks |= self._decode(prompts, chosen)
        return Masks.concat([masks[i] for i in range(len(prompts))], self.seeds.size)

    @torch.inference_mode()
    def _decode(self, prompts: list[Prompt], chosen: list[int]) -> dict[int, Masks]:
        """Masks of the ``chosen`` prompts, which have equally many points."""
        given = self._inputs([prompts[i] for i in chosen])
        with self.sam._mixed():
            out: Any = self.sam.model(**_repeated(self.embedding, len(chosen)), **given, multimask_output=True)
        logits, iou = out.pred_masks[:, 0].float(), out.iou_scores[:, 0].float().clamp(0, 1)
        arrays = full_size(logits, self.placement) > 0, iou, stability(logits, self.placement)
        masks = zip(chosen, *(t.cpu().numpy() for t in arrays), strict=True)
        return {i: Masks(np.full(len(iou), i), inside, iou, stable) for i, inside, iou, stable in masks}

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
    """Yield positions of prompts with equally many points, at most ``batch`` at once.

    Padded points are not masked in the attention of the decoder, so they would make the masks depend on the batch.
    """
    for count in sorted(set(points)):
        equal = [i for i, n in enumerate(points) if n == count]
        yield from (equal[i : i + batch] for i in range(0, len(equal), batch))


# ---- where the three models differ ----------------------------------------------------------------------------


def _encode(model: Any, pixels: Tensor) -> dict[str, Any]:
    """Encode an image to the inputs of ``model``: tensors whose first axis is the image, and lists of them."""
    embedding = model.get_image_embeddings(pixels)
    if isinstance(model, SamHQModel):
        # The decoder uses the first intermediate map only.
        return {"image_embeddings": embedding[0], "intermediate_embeddings": list(embedding[1][:1])}
    return {"image_embeddings": embedding}


def _repeated(embedding: dict[str, Any], times: int) -> dict[str, Any]:
    """Repeat the embedding for ``times`` images without copying."""

    def repeat(value: Any) -> Any:
        return [repeat(v) for v in value] if isinstance(value, list) else value.expand(times, -1, -1, -1)

    # SAM-HQ broadcasts its intermediate map over the images, so one copy suffices and is convolved once.
    return {name: v if name == "intermediate_embeddings" else repeat(v) for name, v in embedding.items()}


# ---- loading --------------------------------------------------------------------------------------------------


def _load_folder(source: str) -> PreTrainedModel:
    architecture = read_architecture(source, option="--weights")
    kind = architecture.model_type
    if kind not in _MODELS:
        raise CheckpointError(f"{source}: expected a SAM, SAM 2 or SAM-HQ, found {_found(kind)}. {_REMEDY}.")
    model, missing, unexpected = load_pretrained(_MODELS[kind], architecture, source)
    for names, problem in ((missing, "missing"), (unexpected, "unknown")):
        if names:
            raise CheckpointError(
                f"{source}: expected all weights of {kind}, found {len(names)} {problem}, such as '{names[0]}'. "
                f"{_REMEDY}."
            )
    return model


def _found(kind: str) -> str:
    if kind.endswith("vision_model"):
        return f"an image encoder without a mask decoder ({kind})"
    return f"a model of type {kind}"

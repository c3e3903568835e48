"""A CT and an MR image that attend to each other, and what that has to beat. Stands alone: models carry a copy.

Two CNNs whose maps become tokens, self-attention within each image, attention from each image to the other, one head.
Beside it the same without the exchange: both images judged apart and averaged, or one image alone.
Attention: Vaswani et al. 2017 (arXiv:1706.03762).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Encoder(nn.Module):
    """Grey images in [0, 1] -> maps x_BDhw, each stage at half the side; ImageNet's constants on a repeated channel."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        last, stem, stages = config["embed_dim"], config["stem_width"], config["encoder_stages"]
        widths = [*(min(stem * 2**stage, last) for stage in range(stages - 1)), last]
        self.stages = nn.Sequential(
            *(_stage(before, width) for before, width in zip([3, *widths], widths, strict=False))
        )
        for name, constants in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(constants).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return maps_BDhw."""
        maps_BDhw: torch.Tensor = self.stages((x_BCHW - self.mean) / self.std)
        return maps_BDhw


def _stage(before: int, width: int) -> nn.Sequential:
    conv = nn.Conv2d(before, width, 3, padding=1)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2))


class Attention(nn.Module):
    """Scaled dot-product attention of several heads, written out: what `attn_drop` is given are the weights_BHQK.

    The library's module keeps its weights off the path of the gradient, and gives them after dropout.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.to_queries, self.to_keys, self.to_values = (nn.Linear(dim, dim) for _ in range(3))
        self.attn_drop, self.out = nn.Dropout(dropout), nn.Linear(dim, dim)

    def forward(self, asking_BQD: torch.Tensor, asked_BKD: torch.Tensor) -> torch.Tensor:
        """Return what each asking token takes in of those that are asked."""
        queries, keys, values = (
            of(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for of, tokens in ((self.to_queries, asking_BQD), (self.to_keys, asked_BKD), (self.to_values, asked_BKD))
        )
        weights_BHQK = (queries @ keys.mT / queries.shape[-1] ** 0.5).softmax(dim=-1)
        mixed_BQD: torch.Tensor = (self.attn_drop(weights_BHQK) @ values).transpose(1, 2).flatten(2)
        taken_BQD: torch.Tensor = self.out(mixed_BQD)
        return taken_BQD


class SelfAttentionLayer(nn.Module):
    """Attention within an image, then a network for each token; each added to its input and normalised after."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim, inner, dropout = config["embed_dim"], config["embed_dim"] * config["ffn_mult"], config["block_dropout"]
        self.attention = Attention(dim, config["heads"], dropout)
        parts = nn.Linear(dim, inner), nn.ReLU(), nn.Dropout(dropout), nn.Linear(inner, dim)
        self.feed_forward = nn.Sequential(*parts)
        self.norm_1, self.norm_2, self.dropout = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.Dropout(dropout)

    def forward(self, tokens_BND: torch.Tensor) -> torch.Tensor:
        """Return tokens of the same shape."""
        tokens_BND = self.norm_1(tokens_BND + self.dropout(self.attention(tokens_BND, tokens_BND)))
        mixed_BND: torch.Tensor = self.norm_2(tokens_BND + self.dropout(self.feed_forward(tokens_BND)))
        return mixed_BND


class CrossAttentionLayer(nn.Module):
    """What an image's tokens take in of the other image, added to them and normalised."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim, dropout = config["embed_dim"], config["block_dropout"]
        self.attention = Attention(dim, config["heads"], dropout)
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)

    def forward(self, asking_BND: torch.Tensor, asked_BND: torch.Tensor) -> torch.Tensor:
        """Return the asking tokens after it."""
        changed_BND: torch.Tensor = self.norm(asking_BND + self.dropout(self.attention(asking_BND, asked_BND)))
        return changed_BND


class Stream(nn.Module):
    """One image -> tokens_BND: maps, positions, a class token first where that is what is pooled, self-attention."""

    def __init__(self, config: Mapping[str, Any], encoder: Encoder, position: nn.Parameter) -> None:
        super().__init__()
        dim = config["embed_dim"]
        self._image_px: int = config["image_px"]
        self.encoder, self.position = encoder, position
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim)) if config["pool"] == "cls" else None
        self.layers = nn.Sequential(*(SelfAttentionLayer(config) for _ in range(config["sa_layers"])))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return tokens_BND. Raises ValueError for what the model cannot take."""
        if x_BCHW.ndim != 4 or x_BCHW.shape[1] not in (1, 3):
            raise ValueError(f"expected x_BCHW with one channel or three, got shape {tuple(x_BCHW.shape)}")
        if tuple(x_BCHW.shape[2:]) != (self._image_px, self._image_px):
            raise ValueError(f"expected images of {self._image_px} px, got shape {tuple(x_BCHW.shape)}")
        tokens_BND = self.encoder(x_BCHW).flatten(2).mT + self.position
        if self.class_token is not None:
            tokens_BND = torch.cat([self.class_token.expand(len(tokens_BND), -1, -1), tokens_BND], dim=1)
        mixed_BND: torch.Tensor = self.layers(tokens_BND)
        return mixed_BND


def _position(config: Mapping[str, Any]) -> nn.Parameter:
    """Return what is added to each token for its place; both images of a case have the same."""
    side = config["image_px"] // 2 ** config["encoder_stages"]
    return nn.Parameter(torch.zeros(1, side**2, config["embed_dim"]))


def _streams(config: Mapping[str, Any]) -> tuple[Stream, Stream]:
    encoder, position = Encoder(config), _position(config)
    other = encoder if config["share_encoders"] else Encoder(config)
    return Stream(config, encoder, position), Stream(config, other, position)


class Pool(nn.Module):
    """Tokens -> one vector: their mean, the class token, or their mean by weights that are learned."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.kind = config["pool"]
        self.score = nn.Linear(config["embed_dim"], 1) if self.kind == "attention" else None

    def forward(self, tokens_BND: torch.Tensor) -> torch.Tensor:
        """Return pooled_BD."""
        if self.score is not None:
            weights_BN1: torch.Tensor = self.score(tokens_BND).softmax(dim=1)
            return (weights_BN1 * tokens_BND).sum(dim=1)
        return tokens_BND[:, 0] if self.kind == "cls" else tokens_BND.mean(dim=1)


def _head(config: Mapping[str, Any], width: int, num_classes: int) -> nn.Sequential:
    hidden = config["hidden"]
    return nn.Sequential(
        nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(config["dropout"]), nn.Linear(hidden, num_classes)
    )


class CrossModal(nn.Module):
    """A CT and an MR image, grey in [0, 1] -> logits; each attends to the other as it was before the layer."""

    def __init__(self, config: Mapping[str, Any], num_classes: int) -> None:
        super().__init__()
        dim = config["embed_dim"]
        self.ct, self.mri = _streams(config)
        self.ct_to_mri = nn.ModuleList(CrossAttentionLayer(config) for _ in range(config["ca_layers"]))
        self.mri_to_ct = nn.ModuleList(CrossAttentionLayer(config) for _ in range(config["ca_layers"]))
        self.pool_ct, self.pool_mri = Pool(config), Pool(config)
        self.fusion = config["fusion"]
        self.gate = nn.Linear(2 * dim, dim) if self.fusion == "gated" else None
        self.head = _head(config, 2 * dim if self.fusion == "concat" else dim, num_classes)

    def forward(self, ct_B1HW: torch.Tensor, mri_B1HW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK."""
        ct_BND, mri_BND = self.ct(ct_B1HW), self.mri(mri_B1HW)
        for ct_to_mri, mri_to_ct in zip(self.ct_to_mri, self.mri_to_ct, strict=True):
            ct_BND, mri_BND = ct_to_mri(ct_BND, mri_BND), mri_to_ct(mri_BND, ct_BND)
        logits_BK: torch.Tensor = self.head(self._fused(self.pool_ct(ct_BND), self.pool_mri(mri_BND)))
        return logits_BK

    def _fused(self, ct_BD: torch.Tensor, mri_BD: torch.Tensor) -> torch.Tensor:
        if self.fusion == "sum":
            return ct_BD + mri_BD
        both_B2D = torch.cat([ct_BD, mri_BD], dim=1)
        if self.gate is None:
            return both_B2D
        share_BD: torch.Tensor = self.gate(both_B2D).sigmoid()
        return share_BD * ct_BD + (1 - share_BD) * mri_BD


class LateFusion(nn.Module):
    """A CT and an MR image, each judged by itself -> the mean of both answers' logits."""

    def __init__(self, config: Mapping[str, Any], num_classes: int) -> None:
        super().__init__()
        dim = config["embed_dim"]
        self.ct, self.mri = _streams(config)
        self.pool_ct, self.pool_mri = Pool(config), Pool(config)
        self.head_ct, self.head_mri = _head(config, dim, num_classes), _head(config, dim, num_classes)

    def forward(self, ct_B1HW: torch.Tensor, mri_B1HW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK."""
        ct_BK = self.head_ct(self.pool_ct(self.ct(ct_B1HW)))
        mri_BK = self.head_mri(self.pool_mri(self.mri(mri_B1HW)))
        mean_BK: torch.Tensor = (ct_BK + mri_BK) / 2
        return mean_BK


class OneModality(nn.Module):
    """A CT and an MR image, of which one alone is looked at -> logits."""

    def __init__(self, config: Mapping[str, Any], num_classes: int) -> None:
        super().__init__()
        self.looks_at_ct = config["modality"] == "ct"
        self.stream, self.pool = Stream(config, Encoder(config), _position(config)), Pool(config)
        self.head = _head(config, config["embed_dim"], num_classes)

    def forward(self, ct_B1HW: torch.Tensor, mri_B1HW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK."""
        logits_BK: torch.Tensor = self.head(self.pool(self.stream(ct_B1HW if self.looks_at_ct else mri_B1HW)))
        return logits_BK


def build(hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool) -> nn.Module:
    """Build from a full set of hyperparameters, which tell the kind; there are no pretrained weights of any."""
    if "modality" in hyperparameters:
        return OneModality(hyperparameters, num_classes)
    kind = LateFusion if hyperparameters["fusion"] == "late" else CrossModal
    return kind(hyperparameters, num_classes)

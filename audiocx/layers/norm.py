"""All norms under one name; each file holds those of one purpose."""

from audiocx.layers.batch_norm import NaiveBatchNorm, WhiteningBatchNorm
from audiocx.layers.group_norm import (
    ComplexGroupNorm,
    ComplexInstanceNorm,
    ComplexLayerNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
)
from audiocx.layers.rms_norm import ComplexRMSNorm, RMSNorm

__all__ = [
    "ComplexGroupNorm",
    "ComplexInstanceNorm",
    "ComplexLayerNorm",
    "ComplexRMSNorm",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "NaiveBatchNorm",
    "RMSNorm",
    "WhiteningBatchNorm",
]

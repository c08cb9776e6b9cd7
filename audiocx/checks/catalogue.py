"""Every layer of audiocx, once in each form that matters, with its independent reference.

`ENTRIES` is what the tests, `audiocx check-layers` and the documentation go through. Names are unique: the class,
and after a comma what is special about the form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from audiocx.checks import (
    reference_elementwise,
    reference_maps,
    reference_norms,
)
from audiocx.checks.catalogue_frames import ATTENTIONS, MATRICES, RECURRENCES
from audiocx.checks.entry import Entry, entries
from audiocx.layers import activation, dropout, gate, norm, pooling
from audiocx.layers.causal import CausalConvolution
from audiocx.layers.convolution import (
    ComplexConv1d,
    ComplexConv2d,
    ComplexConvTranspose1d,
    ComplexConvTranspose2d,
    RealConvTranspose2d,
)
from audiocx.layers.halves import Halves
from audiocx.layers.linear import ComplexLinear, RealLinear
from audiocx.layers.widely_linear import WidelyLinearDepthwise

HELPERS = (
    "PlanarLayer",  # bases of layers
    "ComplexProduct",
    "KeepsDerived",
    "ScalingActivation",
    "RealValuedLayer",
    "GatedUnit",
)
"""Public classes of modules in `audiocx.layers` that are no layers by themselves."""

MAPS = (2, 4, 6, 5)  # (batch, feature, frequency, frame)
FRAMES = (2, 4, 9)


def _convolution(name: str, make: Callable[..., nn.Module], shape: tuple[int, ...], **options: Any) -> Entry:
    options = {"kernel_size": 3, "padding": 1, **options}
    return Entry(
        name,
        "convolution",
        lambda: make(4, 4, **options),
        shape,
        reference=reference_maps.convolution,
        holomorphic=True,
    )


MANY_MAPS = (2, 48, 4, 5)
"""As many planes for one that comes out that transposed convolutions become matrix products."""


def _causal(name: str, make: Callable[..., nn.Module], shape: tuple[int, ...], **options: Any) -> Entry:
    options = {"kernel_size": 3, **options}
    return Entry(
        f"CausalConvolution, {name}",
        "convolution",
        lambda: CausalConvolution(make(4, 4, **options)),
        shape,
        reference=reference_maps.causal_convolution,
        has_state=True,
        holomorphic=True,
    )


CONVOLUTIONS = [
    _convolution("ComplexConv1d", ComplexConv1d, FRAMES),
    _convolution("ComplexConv1d, strided and dilated", ComplexConv1d, FRAMES, stride=2, dilation=2),
    _convolution("ComplexConv2d", ComplexConv2d, MAPS),
    _convolution("ComplexConv2d, no bias", ComplexConv2d, MAPS, bias=False),
    _convolution("ComplexConv2d, strided and dilated", ComplexConv2d, MAPS, stride=(2, 1), dilation=(1, 2)),
    _convolution("ComplexConv2d, grouped", ComplexConv2d, MAPS, groups=2),
    _convolution("ComplexConv2d, depthwise", ComplexConv2d, MAPS, groups=4),
    _convolution("ComplexConv2d, form of Gauss", ComplexConv2d, MAPS, form="gauss"),
    _convolution("ComplexConvTranspose1d", ComplexConvTranspose1d, FRAMES, stride=2),
    _convolution("ComplexConvTranspose2d", ComplexConvTranspose2d, MAPS, stride=2),
    _convolution("ComplexConvTranspose2d, no bias", ComplexConvTranspose2d, MAPS, stride=2, bias=False),
    _convolution("ComplexConvTranspose2d, grouped", ComplexConvTranspose2d, MAPS, groups=2, dilation=2),
    _convolution("ComplexConvTranspose2d, depthwise", ComplexConvTranspose2d, MAPS, groups=4),
    _convolution("ComplexConvTranspose2d, form of Gauss", ComplexConvTranspose2d, MAPS, form="gauss"),
    Entry(
        "ComplexConvTranspose2d, few outputs",
        "convolution",
        lambda: ComplexConvTranspose2d(48, 1, 3, 2, 1),
        MANY_MAPS,
        reference=reference_maps.convolution,
        holomorphic=True,
    ),
    Entry(
        "RealConvTranspose2d, few outputs",
        "convolution",
        lambda: RealConvTranspose2d(48, 2, 3, 2, 1),
        MANY_MAPS,
        "real",
        reference_maps.real_convolution,
    ),
    _causal("dilated ComplexConv1d", ComplexConv1d, FRAMES, dilation=2),
    _causal("ComplexConv2d without bias", ComplexConv2d, MAPS, padding=(1, 0), bias=False),
    _causal("ComplexConvTranspose2d", ComplexConvTranspose2d, MAPS, stride=(2, 1), padding=(1, 2)),
    *entries(
        "convolution",
        MAPS,
        [
            (
                f"WidelyLinearDepthwise{', transposed' * transposed}",
                lambda transposed=transposed: WidelyLinearDepthwise(  # type: ignore[misc]
                    4, (3, 3), (2, 1), (1, 1), transposed=transposed
                ),
                reference_maps.widely_linear_depthwise,
            )
            for transposed in (False, True)
        ],
    ),
]

LINEAR = [
    *entries(
        "linear",
        MAPS,
        [
            ("ComplexLinear", lambda: ComplexLinear(4, 3), reference_maps.linear),
            ("ComplexLinear, no bias", lambda: ComplexLinear(4, 3, bias=False), reference_maps.linear),
        ],
        holomorphic=True,
    ),
    Entry("RealLinear", "linear", lambda: RealLinear(4, 3), MAPS, "real", reference_maps.real_linear),
    Entry(
        "Halves, of RealLinear",
        "halves",
        lambda: Halves(lambda: RealLinear(2, 3)),
        MAPS,
        "real",
        reference_maps.halves,
    ),
]

EACH_PROCESS = "each process has statistics of its own, as in the networks that use it"
IN_EVALUATION = "exported in evaluation"

NORMS = [
    *entries(
        "norm",
        MAPS,
        [("WhiteningBatchNorm", lambda: norm.WhiteningBatchNorm(4), reference_norms.whitening)],
        training=True,
        without={"export": IN_EVALUATION},
    ),
    *entries(
        "norm",
        MAPS,
        [("NaiveBatchNorm", lambda: norm.NaiveBatchNorm(4), reference_norms.naive_batch)],
        training=True,
        without={"export": IN_EVALUATION, "processes": EACH_PROCESS},
    ),
    *entries(
        "norm",
        MAPS,
        [
            (
                "WhiteningBatchNorm, in evaluation",
                lambda: norm.WhiteningBatchNorm(4),
                reference_norms.whitening,
            ),
            ("NaiveBatchNorm, in evaluation", lambda: norm.NaiveBatchNorm(4), reference_norms.naive_batch),
            ("ComplexGroupNorm", lambda: norm.ComplexGroupNorm(4, 2), reference_norms.group),
            (
                "ComplexGroupNorm, no bias",
                lambda: norm.ComplexGroupNorm(4, 2, bias=False),
                reference_norms.group,
            ),
            (
                "ComplexGroupNorm, over frames",
                lambda: norm.ComplexGroupNorm(4, 2, by_frame=False),
                reference_norms.group,
            ),
            ("ComplexLayerNorm", lambda: norm.ComplexLayerNorm(4), reference_norms.group),
            ("ComplexInstanceNorm", lambda: norm.ComplexInstanceNorm(4), reference_norms.group),
            ("ComplexRMSNorm", lambda: norm.ComplexRMSNorm(4), reference_norms.rms),
            (
                "ComplexRMSNorm, by place",
                lambda: norm.ComplexRMSNorm(4, everywhere=False),
                reference_norms.rms,
            ),
        ],
    ),
    *entries(
        "norm",
        MAPS,
        [
            ("GroupNorm", lambda: norm.GroupNorm(4, 2), reference_norms.group),
            ("LayerNorm", lambda: norm.LayerNorm(4), reference_norms.group),
            ("InstanceNorm", lambda: norm.InstanceNorm(4), reference_norms.group),
            ("RMSNorm", lambda: norm.RMSNorm(4), reference_norms.rms),
        ],
        numbers="real",
    ),
]

ACTIVATIONS = [
    *entries(
        "activation",
        MAPS,
        [
            ("CReLU", activation.CReLU, reference_elementwise.c_relu),
            ("LeakyCReLU", activation.LeakyCReLU, reference_elementwise.leaky_c_relu),
            ("CPReLU", lambda: activation.CPReLU(4), reference_elementwise.c_prelu),
            ("ModReLU", lambda: activation.ModReLU(4), reference_elementwise.mod_relu),
            ("Cardioid", activation.Cardioid, reference_elementwise.cardioid),
            ("PolarTanh", activation.PolarTanh, reference_elementwise.polar_tanh),
            ("SplitTanh", activation.SplitTanh, reference_elementwise.split_tanh),
            ("Siglog", activation.Siglog, reference_elementwise.siglog),
            (
                "Siglog, other slope and bound",
                lambda: activation.Siglog(0.5, 3.0),
                reference_elementwise.siglog,
            ),
        ],
    ),
    Entry(
        "ZReLU",
        "activation",
        activation.ZReLU,
        MAPS,
        reference=reference_elementwise.z_relu,
        holomorphic=True,
    ),
    Entry(
        "SoftThreshold",
        "activation",
        lambda: activation.SoftThreshold(4),
        MAPS,
        "real",
        reference_elementwise.soft_threshold,
    ),
]

GATES = [
    *entries(
        "gate",
        MAPS,
        [
            ("ModSigmoid", lambda: gate.ModSigmoid(4), reference_elementwise.mod_sigmoid),
            ("ModSoftmax", gate.ModSoftmax, reference_elementwise.mod_softmax),
        ],
        real_output=True,
    ),
    *entries(
        "gate",
        MAPS,
        [
            ("ModSigmoidGLU", lambda: gate.ModSigmoidGLU(2), reference_elementwise.mod_sigmoid_glu),
            ("ModulusGLU", lambda: gate.ModulusGLU(2), reference_elementwise.modulus_glu),
            ("SplitGLU", lambda: gate.SplitGLU(2), reference_elementwise.split_glu),
        ],
    ),
]

DRAWS = {
    "reference": "it draws; in evaluation it is the identity",
    "processes": "each process draws for itself",
    "export": IN_EVALUATION,
}

DROPOUTS = [
    *entries(
        "dropout",
        MAPS,
        [
            ("ComplexDropout", lambda: dropout.ComplexDropout(0.4), None),
            ("ComplexChannelDropout", lambda: dropout.ComplexChannelDropout(0.4), None),
        ],
        training=True,
        draws=True,
        holomorphic=True,
        without=DRAWS,
    ),
    *entries(
        "dropout",
        MAPS,
        [
            (
                "ComplexDropout, in evaluation",
                lambda: dropout.ComplexDropout(0.4),
                reference_elementwise.identity,
            ),
            (
                "ComplexChannelDropout, in evaluation",
                lambda: dropout.ComplexChannelDropout(0.4),
                reference_elementwise.identity,
            ),
        ],
        holomorphic=True,
    ),
]

POOLS = entries(
    "pool",
    MAPS,
    [
        (
            "MagnitudeMaxPool2d",
            lambda: pooling.MagnitudeMaxPool2d((3, 2), (2, 1), (1, 0)),
            reference_maps.largest_of_windows,
        ),
        (
            "ComplexAveragePool2d",
            lambda: pooling.ComplexAveragePool2d((3, 2), (2, 1), (1, 0)),
            reference_maps.mean_of_windows,
        ),
    ],
    holomorphic=True,
)

ENTRIES: tuple[Entry, ...] = (
    *CONVOLUTIONS,
    *LINEAR,
    *NORMS,
    *ACTIVATIONS,
    *GATES,
    *DROPOUTS,
    *POOLS,
    *RECURRENCES,
    *MATRICES,
    *ATTENTIONS,
)

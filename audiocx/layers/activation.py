"""Complex activations on planar tensors, and the real twin that `ModReLU` has.

    name        f(z), with z = x + jy and r = |z|    turns with the phase    on the real axis
    CReLU       relu(x) + j relu(y)                  no                      ReLU
    LeakyCReLU  leaky(x) + j leaky(y)                no                      leaky ReLU
    CPReLU      prelu(x) + j prelu(y)                no                      PReLU
    ZReLU       z where x > 0 and y > 0, else 0      no                      0
    ModReLU     max(r + b, 0) z / r                  yes                     soft threshold (b < 0)
    Cardioid    (1 + x / r) z / 2                    no                      ReLU
    PolarTanh   tanh(r) z / r                        yes                     tanh
    SplitTanh   tanh(x) + j tanh(y)                  no                      tanh
    Siglog      z / (c + r / ρ)                      yes                     softsign (c = ρ = 1)

Those with a modulus go over their input several times: see `ModReLU` for what that costs.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiocx.errors import ConfigError, describe
from audiocx.layers.modulus import SMALLEST_MODULUS, floored_modulus, per_feature, scaled, widen
from audiocx.layers.planar import PlanarLayer, planes

LEAKY_SLOPE = 0.1
LEARNED_SLOPE = 0.25
"""Slope that `CPReLU` starts from, as `nn.PReLU` does."""


class CReLU(PlanarLayer):
    """ReLU of the real and of the imaginary part. Not phase-equivariant.

    What comes out lies in the first quadrant: a quarter of the plane gives 0, two quarters give an axis.

    Formula:
        f(z) = max(x, 0) + j max(y, 0)

    Source:
        Trabelsi et al. 2018, §3.4.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).
    """

    def transform(self, planar: Tensor) -> Tensor:
        """Rectify both parts."""
        return functional.relu(planar)


class LeakyCReLU(PlanarLayer):
    """Leaky ReLU of the real and of the imaginary part. Not phase-equivariant.

    The slope is 0.1; the DCUNet of asteroid has torch's 0.01.

    Formula:
        f(z) = max(x, 0.1 x) + j max(y, 0.1 y)

    Source:
        Choi et al. 2019, for the ReLU of Trabelsi et al. 2018, §3.4.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).
    """

    def transform(self, planar: Tensor) -> Tensor:
        """Rectify both parts softly."""
        return functional.leaky_relu(planar, LEAKY_SLOPE)


class CPReLU(PlanarLayer):
    """PReLU of the real and of the imaginary part, each with a slope for every feature. Not phase-equivariant.

    The code of DCCRN has one slope for all planes instead.

    Formula:
        f(z) = max(x, 0) + a min(x, 0) + j (max(y, 0) + b min(y, 0)),   a and b learned from 0.25 on

    Source:
        He et al. 2015, eq. 1, for each part.

    Args:
        features: complex features.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.slope_real = nn.Parameter(torch.full((features,), LEARNED_SLOPE))
        self.slope_imag = nn.Parameter(torch.full((features,), LEARNED_SLOPE))

    def transform(self, planar: Tensor) -> Tensor:
        """Rectify both parts by their slopes."""
        slopes = torch.cat((self.slope_real, self.slope_imag))
        return functional.prelu(planar, slopes.to(planar.dtype))

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return str(self.features)


class ZReLU(PlanarLayer):
    """Identity in the first quadrant, zero elsewhere. Not phase-equivariant.

    Holomorphic where it is active; it jumps on the borders of the quadrant. Three quarters of the plane give 0.

    Formula:
        f(z) = z where x > 0 and y > 0, else 0

    Source:
        Guberman 2016.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).
    """

    def transform(self, planar: Tensor) -> Tensor:
        """Let the first quadrant through."""
        real, imaginary = planes(planar)
        passes = (real > 0) & (imaginary > 0)
        # where, not a product: an infinite value outside the quadrant is dropped, too.
        return torch.where(torch.cat((passes, passes), 1), planar, 0.0)


class SplitTanh(PlanarLayer):
    """Hyperbolic tangent of the real and of the imaginary part. Not phase-equivariant.

    Formula:
        f(z) = tanh(x) + j tanh(y)

    Source:
        Nitta 1997, there with sigmoids of both parts.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).
    """

    def transform(self, planar: Tensor) -> Tensor:
        """Bound both parts."""
        return torch.tanh(planar)


class ScalingActivation(PlanarLayer):
    """Base of activations that multiply z by a real gain: subclasses write the gain.

    In float32 at least, so half precision changes the output by its rounding alone.
    """

    def transform(self, planar: Tensor) -> Tensor:
        """Scale both parts by the gain."""
        real, imaginary = planes(widen(planar))
        return scaled(real, imaginary, self.gain(real, imaginary), planar.dtype)

    @abstractmethod
    def gain(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Real gain (batch, feature, ...) of parts of that shape."""


class ModReLU(ScalingActivation):
    """ReLU of the modulus after a learned shift; the phase is kept. Phase-equivariant.

    It starts at b = 0, the identity. The modulus is floored at ε = 1e-6 inside the root, so gradients are finite at
    zero and at denormals. With b > 0 it jumps at zero, where its slope is b / ε.

    Cost: about seven times that of `CReLU`, in passes over the values. On one thread, with (2, 90, 64, 126) planes,
    forward and backward took 12 to 14 ms, of `CReLU` 1.8, of a real 3 x 3 convolution of those 90 planes 105. The
    other activations with a modulus are alike (`PolarTanh` 15).

    Formula:
        f(z) = max(r + b, 0) z / r,   r = max(|z|, ε), b real for every feature

    Source:
        Arjovsky et al. 2016, eq. 8.

    Args:
        features: complex features.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).
    """

    phase_equivariant = True

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.bias = nn.Parameter(torch.zeros(features))

    def gain(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Shrink the modulus and keep the phase."""
        modulus = floored_modulus(real, imaginary)
        return functional.relu(modulus + per_feature(self.bias, real.ndim)) / modulus

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return str(self.features)


class Cardioid(ScalingActivation):
    """Scaling by the phase: 1 towards the positive real axis, 0 towards the negative one. Not phase-equivariant.

    ReLU on the real axis. At zero it is 0, with gradient 1/2.

    Formula:
        f(z) = (1 + cos θ) z / 2,   cos θ = x / max(|z|, ε)

    Source:
        Virtue, Yu and Lustig 2017.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).
    """

    def gain(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """1 towards the positive real axis, 0 towards the negative one."""
        return 0.5 + 0.5 * (real / floored_modulus(real, imaginary))


class PolarTanh(ScalingActivation):
    """Hyperbolic tangent of the modulus; the phase is kept. Phase-equivariant.

    Hirose's tanh(|z| / m²) has a learned m; a preceding layer's weights do the same.

    Formula:
        f(z) = tanh(r) z / r,   r = max(|z|, ε)

    Source:
        Hirose 1992.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).
    """

    phase_equivariant = True

    def gain(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Bounded over true modulus; at the floor the quotient is 1 - 3e-13."""
        modulus = floored_modulus(real, imaginary)
        return torch.tanh(modulus) / modulus


class Siglog(ScalingActivation):
    """Modulus bounded by ρ, the phase kept, smooth at zero with slope 1 / c. Phase-equivariant.

    Formula:
        f(z) = z / (c + |z| / ρ)

    Source:
        Georgiou and Koutsougeras 1992.

    Args:
        inverse_slope: c, above 0.
        bound: ρ, above 0.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).

    Raises:
        ConfigError: c or ρ is not above 0.
    """

    phase_equivariant = True

    def __init__(self, inverse_slope: float = 1.0, bound: float = 1.0) -> None:
        super().__init__()
        if not (inverse_slope > 0 and bound > 0):
            raise ConfigError(
                describe(
                    "siglog: slope and bound must be positive", expected="above 0", got=(inverse_slope, bound)
                )
            )
        self.inverse_slope, self.bound = inverse_slope, bound

    def gain(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Slope at the modulus. Nothing is divided by the modulus alone, so its floor may lie very low."""
        return 1.0 / (self.inverse_slope + floored_modulus(real, imaginary, 1e-15) / self.bound)

    def extra_repr(self) -> str:
        """Shape of the curve, for printing."""
        return f"inverse_slope={self.inverse_slope}, bound={self.bound}"


class SoftThreshold(nn.Module):
    """Real twin of `ModReLU`: ReLU of the absolute value after a learned shift; the sign is kept.

    Formula:
        f(x) = max(|x| + b, 0) sign(x),   b for every feature

    Source:
        ModReLU on the real axis; with b < 0 it is soft thresholding (Donoho 1995).

    Args:
        features: real features.

    Shapes:
        (batch, feature, ...) -> the same.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, features: Tensor) -> Tensor:
        """Shrink the absolute value and keep the sign; in float32 at least, as `ModReLU` does."""
        values, bias = widen(features), per_feature(self.bias, features.ndim)
        modulus = values.abs().clamp_min(SMALLEST_MODULUS)
        return (values * (functional.relu(modulus + bias) / modulus)).to(features.dtype)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return str(self.features)

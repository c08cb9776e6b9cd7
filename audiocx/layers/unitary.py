"""Unitary matrices as parameters, and their real twins, orthogonal ones.

A complex matrix W = P + jQ is unitary when its block form [[P, -Q], [Q, P]] is orthogonal; the layers here give the
block form, which planar recurrences multiply with. Whatever an optimizer does to the parameters, W stays unitary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from audiocx.layers.gated_scan import exporting
from audiocx.layers.kept import KeepsDerived
from audiocx.layers.product import block_kernel
from audiocx.layers.sequences import without_autocast

SMALLEST_NORM = 1e-12

SCHULZ_STEPS = 32
"""Steps of the inverse: about log2(rows x condition²) until the error is small, then four."""

SMALL_SHRINKAGE = -7.0
"""β of recurrences at the start: softplus(-7) = 0.0009 is taken from the modulus at every frame."""


def cayley(skew: Tensor) -> Tensor:
    """(I + A)^-1 (I - A), orthogonal for A = -A^T."""
    identity = torch.eye(len(skew), dtype=skew.dtype, device=skew.device)
    if exporting():
        return inverse_by_products(identity + skew) @ (identity - skew)
    return torch.linalg.solve(identity + skew, identity - skew)


def inverse_by_products(matrix: Tensor) -> Tensor:
    """Inverse by the iteration X <- X (2 I - M X) (Schulz 1933), for formats such as ONNX that can only multiply.

    The start M^T / (|M|_1 |M|_inf) always converges; the error squares at every step once it is small.
    """
    twice = 2.0 * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    size = matrix.abs()
    inverse = matrix.mT / (size.sum(0).max() * size.sum(1).max())
    for _ in range(SCHULZ_STEPS):
        inverse = inverse @ (twice - matrix @ inverse)
    return inverse


def random_unitary(size: int) -> Tensor:
    """Unitary matrix that is uniform (Haar): QR with the phases of R's diagonal taken out; complex64."""
    orthogonal, triangular = torch.linalg.qr(torch.randn(size, size, dtype=torch.complex128))
    diagonal = triangular.diagonal()
    return (orthogonal * (diagonal / diagonal.abs())).to(torch.complex64)


class _Matrix(KeepsDerived):
    """A matrix that parameters give; in inference it is formed once, or a frame of a stream would cost a solve."""

    def forward(self) -> Tensor:
        """Return the matrix."""
        return self.derived("matrix", tuple(self.parameters()), lambda: (self.form(),))[0]

    def form(self) -> Tensor:
        """Form it from the parameters."""
        raise NotImplementedError


class FullUnitary(_Matrix):
    """Any unitary matrix, by the Cayley map of a skew-Hermitian one.

    W_0 is random and fixed and M starts at zero, so that no eigenvalue is out of reach at the start.

    Formula:
        W = (I + A)^-1 (I - A) W_0,   A = M - M^H

    Source:
        Wisdom et al. 2016; Helfrich et al. 2018.

    Args:
        size: complex rows and columns.

    Shapes:
        () -> block form (2 * size, 2 * size).
    """

    start_real: Tensor
    start_imag: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.skew_real, self.skew_imag = (nn.Parameter(torch.zeros(size, size)) for _ in range(2))
        start = random_unitary(size)
        self.register_buffer("start_real", start.real.clone())
        self.register_buffer("start_imag", start.imag.clone())

    def form(self) -> Tensor:
        """Block form of the matrix."""
        generator = block_kernel(self.skew_real, self.skew_imag)
        with without_autocast(generator):
            return cayley(generator - generator.mT) @ block_kernel(self.start_real, self.start_imag)

    def extra_repr(self) -> str:
        """Size, for printing."""
        return str(self.size)


class FullOrthogonal(_Matrix):
    """Real twin of `FullUnitary`: an orthogonal matrix.

    Formula:
        W = (I + A)^-1 (I - A) W_0,   A = M - M^T, W_0 random and orthogonal

    Source:
        Helfrich et al. 2018.

    Args:
        size: rows and columns.

    Shapes:
        () -> (size, size).
    """

    start: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.skew = nn.Parameter(torch.zeros(size, size))
        start, triangular = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64))
        self.register_buffer("start", (start * triangular.diagonal().sign()).float())

    def form(self) -> Tensor:
        """Form the matrix from the parameters."""
        with without_autocast(self.skew):
            return cayley(self.skew - self.skew.mT) @ self.start

    def extra_repr(self) -> str:
        """Size, for printing."""
        return str(self.size)


class FactoredUnitary(_Matrix):
    """A unitary matrix of seven real parameters a row, as a product of simple ones.

    The product is formed once a call, since a product with the matrix costs less than the seven factors at every
    frame until some thousand features.

    Formula:
        W = D_3 R_2 F^-1 D_2 Π R_1 F D_1
        D diagonal with phases, R = I - 2 v v^H / |v|², F the unitary Fourier transform, Π a fixed permutation

    Source:
        Arjovsky et al. 2016, eq. 6.

    Args:
        size: complex rows and columns.

    Shapes:
        () -> block form (2 * size, 2 * size).
    """

    permutation: Tensor
    fourier_real: Tensor
    fourier_imag: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.angles = nn.Parameter(math.pi * (2.0 * torch.rand(3, size) - 1.0))
        self.reflection_real, self.reflection_imag = (
            nn.Parameter(math.sqrt(6.0 / (2 * size)) * (2.0 * torch.rand(2, size) - 1.0)) for _ in range(2)
        )
        self.register_buffer("permutation", torch.randperm(size))
        fourier = torch.fft.fft(torch.eye(size, dtype=torch.float64), norm="ortho")
        self.register_buffer("fourier_real", fourier.real.float(), persistent=False)
        self.register_buffer("fourier_imag", fourier.imag.float(), persistent=False)

    def form(self) -> Tensor:
        """Block form of the matrix."""
        with without_autocast(self.angles):
            fourier = block_kernel(self.fourier_real, self.fourier_imag)
            product = fourier @ self._phases(0)
            product = self._reflect(0, product).unflatten(0, (2, -1))[:, self.permutation].flatten(0, 1)
            product = fourier.mT @ (self._phases(1) @ product)
            return self._phases(2) @ self._reflect(1, product)

    def _phases(self, index: int) -> Tensor:
        angle = self.angles[index]
        return block_kernel(torch.diag(angle.cos()), torch.diag(angle.sin()))

    def _reflect(self, index: int, matrix: Tensor) -> Tensor:
        """Take 2 v v^H W / |v|² from W in block form."""
        real, imaginary = self.reflection_real[index], self.reflection_imag[index]
        vector = block_kernel(real.unsqueeze(1), imaginary.unsqueeze(1))  # (2 * size, 2)
        power = (real.square() + imaginary.square()).sum().clamp_min(SMALLEST_NORM)
        return matrix - (2.0 / power) * vector @ (vector.mT @ matrix)

    def extra_repr(self) -> str:
        """Size, for printing."""
        return str(self.size)

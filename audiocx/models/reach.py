"""How many frames of the mixture a frame of the estimate depends on: measured, whatever the model is made of."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from audiocx.models.build import build
from audiocx.models.capacity import written_widths
from audiocx.models.conditions import Conditions
from audiocx.models.separator import Separator
from audiocx.models.words import import_module_class

FURTHEST = 960
"""Frames to either side that are looked at; what reaches further counts as unlimited."""

NEIGHBOURS = 32
"""Output frames that are looked at: strides over frames, which together must not exceed it, favour some of them."""

FADED = 1e-150
"""A gradient that is smaller has faded over a way without an end, and only float64 ends it."""

TINY_WIDTH, TINY_FREQUENCIES = 2, 17
"""Of the copy that is measured: reaches depend neither on widths nor on how fine the frequencies are."""


@dataclass(frozen=True)
class Reach:
    """Frames of the mixture that one frame of the estimate depends on; `inf` where there is no end.

    Attributes:
        past: before it, at most.
        ahead: after it, at most.
        total: of all, itself included; less than past + 1 + ahead where no frame sees furthest both ways.
        looked_at: to either side; what reaches further is `inf`.
    """

    past: float
    ahead: float
    total: float
    looked_at: int = FURTHEST


def measure_reach(separator: Separator) -> Reach:
    """Measure how far an estimate's frame sees: where the gradient of random sums over it is not exactly zero.

    A tiny copy of the model is measured in float64, on noise and with weights off their initial values, so that no
    way is closed by chance: first one frame of a long spectrum, which tells what has no end, then `NEIGHBOURS`
    frames, each in several spectra, of one that is long enough for what has. The level is handed in.

    Args:
        separator: its config is built again, narrow; where that cannot be, its own model is copied.

    Returns:
        The reach; `nan` throughout for a model that does not run in float64.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        probe = next((probe for probe in _probes(separator) if probe.runs()), None)
        if probe is None:
            return Reach(math.nan, math.nan, math.nan)
        return probe.measure()


@dataclass(frozen=True)
class _Probe:
    """A model that is measured.

    Attributes:
        model: in float64.
        n_frequencies: of its spectra.
        n_spectra: in which each frame is looked at.
        together: frames that are looked at in one pass.
        furthest: frames to either side.
    """

    model: Any
    n_frequencies: int
    n_spectra: int = 4
    together: int = 8
    furthest: int = FURTHEST

    def runs(self) -> bool:
        """Whether the model runs as it is wanted to."""
        try:
            self.gradients(NEIGHBOURS, torch.tensor([0]))
        except Exception:  # somebody's own model, which may raise anything
            return False
        return True

    def measure(self) -> Reach:
        """Measure the reach."""
        middle = self.furthest + NEIGHBOURS
        gradients = self.gradients(2 * middle, torch.tensor([middle]))[0]
        past, ahead = self.end(gradients[: middle + 1].flip(0)), self.end(gradients[middle:])
        if math.isinf(past) and math.isinf(ahead):
            return Reach(past, ahead, math.inf, self.furthest)
        # Exactly, near by; the margins are for what the neighbours see further, and for what noise has closed.
        middle = int(min(past, ahead) if math.isinf(max(past, ahead)) else max(past, ahead)) + 2 * NEIGHBOURS
        frames = torch.arange(middle - NEIGHBOURS // 2, middle + NEIGHBOURS // 2)
        seen = torch.cat([self.gradients(2 * middle, few) for few in frames.split(self.together)]) > 0
        places = torch.arange(2 * middle)
        # A frame of the estimate that depends on nothing sees itself.
        first = torch.minimum(torch.where(seen, places, 2 * middle).amin(1), frames)
        last = torch.maximum(torch.where(seen, places, -1).amax(1), frames)
        return Reach(
            past if math.isinf(past) else int((frames - first).max()),
            ahead if math.isinf(ahead) else int((last - frames).max()),
            math.inf if math.isinf(past + ahead) else int((last - first).max()) + 1,
            self.furthest,
        )

    def end(self, gradients: Tensor) -> float:
        """Distance of the last gradient that is not zero; `inf` where they fade away, or go on too far."""
        last = int(torch.where(gradients > 0, torch.arange(len(gradients)), 0).max())
        return math.inf if last > self.furthest or 0 < float(gradients[last]) < FADED else last

    def gradients(self, n_frames: int, frames: Tensor) -> Tensor:
        """Moduli of what frames of the estimate give those of the mixture, (frame looked at, frame of the mixture).

        Args:
            n_frames: of the spectra.
            frames: of the estimate.
        """
        n_items = len(frames) * self.n_spectra
        spectra = torch.randn(n_items, 1, self.n_frequencies, n_frames, dtype=torch.complex128)
        spectra.requires_grad_()
        mask = self.model(spectra, Conditions(level=torch.ones(n_items, 1, dtype=torch.float64)))
        estimate = self.model.apply_mask(spectra, mask)
        places = frames.repeat_interleave(self.n_spectra).view(-1, *[1] * (estimate.ndim - 1))
        chosen = estimate.take_along_dim(places, -1)
        (gradients,) = torch.autograd.grad(chosen, spectra, torch.randn_like(chosen))
        return gradients.abs().amax((1, 2)).unflatten(0, (-1, self.n_spectra)).amax(1)


def _probes(separator: Separator) -> Iterator[_Probe]:
    """Build what may be measured: narrow and with few frequencies, narrow, or the model itself, and that less."""
    wanted = separator.stft.n_frequencies
    for n_frequencies, n_spectra, together in ((TINY_FREQUENCIES, 4, 8), (wanted, 2, 2)):
        try:
            model = build(_narrow(separator), n_sources=separator.n_sources, n_frequencies=n_frequencies)
        except Exception:  # a config of somebody's own, or none
            continue
        yield _Probe(_shaken(model), n_frequencies, n_spectra, together)
    yield _Probe(_shaken(copy.deepcopy(separator.model).cpu()), wanted, 1, 1, FURTHEST // 4)


def _narrow(separator: Separator) -> Any:
    """Config of a separator's model with no more than a few features in each layer."""
    config: Any = copy.deepcopy(separator.config["model"])
    network = config["network"]
    topology = import_module_class(network["_target_"], where="model.network")
    for key, width in written_widths(network, topology).items():
        network[key] = (
            [min(each, TINY_WIDTH) for each in width] if isinstance(width, list) else min(width, TINY_WIDTH)
        )
    return config


def _shaken(model: nn.Module) -> nn.Module:
    """Put weights off their initial values: some start at zero."""
    model = model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model

"""What a model costs beside its counterpart: the ledger that stands at the start of every training.

The counterpart of a twin is the same config in complex arithmetic; that of a complex model is its split twin, with
the widths that `capacity` gives it. Equal parameters do not mean equal work, memory or time, so all are shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from audiocx.layers.initialisation import fan_in
from audiocx.models.capacity import Match, match, twin_of
from audiocx.models.counting import count_macs_per_second, count_parameters
from audiocx.models.separator import Separator
from audiocx.models.widths import TOLERANCE

STEPS, STEPS_SECONDS = 2, 0.6
"""A step is timed so often, or until that much time has passed, after one step that warms up."""


@dataclass(frozen=True)
class Cost:
    """What one model costs.

    Attributes:
        name: of the model.
        parameters_real: real trainable parameters.
        macs_per_second: multiply-adds for a second of one channel, counted on the block form.
        activation_bytes: what autograd keeps in a step of the batch, parameters not counted.
        step_seconds: forward and backward of that batch, the fastest of a few.
        initial_power: E|w|² times fan-in of the initial weights, see `initial_power`.
    """

    name: str
    parameters_real: int
    macs_per_second: int
    activation_bytes: int | None
    step_seconds: float | None
    initial_power: float | None


@dataclass(frozen=True)
class Ledger:
    """The costs of a model and of its counterpart.

    Attributes:
        capacity: what was matched: `parameters`, `macs`, or None.
        difference_percent: how much more of it (parameters where it is None) the twin has than the complex model.
        costs: of the model, then of the counterpart where there is one.
        batch: shape of the spectrum that a step was measured on.
        note: why there is no match within the tolerance, where one was asked for.
    """

    capacity: str | None
    difference_percent: float | None
    costs: list[Cost]
    batch: tuple[int, ...]
    note: str = ""

    def facts(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def table(self) -> tuple[str, list[str], list[list[str]], str]:
        """Title, columns, rows and note of a table."""
        columns = ["model", "reals", "MAC/s", "activations", "s/step", "E|w|²·fan"]
        rows = [
            [
                cost.name,
                f"{cost.parameters_real:,}",
                f"{cost.macs_per_second / 1e6:.1f} M",
                "–" if cost.activation_bytes is None else f"{cost.activation_bytes / 2**20:.1f} MiB",
                "–" if cost.step_seconds is None else f"{cost.step_seconds:.3f}",
                "–" if cost.initial_power is None else f"{cost.initial_power:.2f}",
            ]
            for cost in self.costs
        ]
        matched = {None: "widths as written", "parameters": "matched in reals", "macs": "matched in MAC/s"}
        title = f"Capacity: {matched[self.capacity]}"
        if self.difference_percent is not None:
            title += f"; the twin has {self.difference_percent:+.2f} %".replace("-", "−")
        return title, columns, rows, self.note


def measure(
    name: str,
    written: Mapping[str, Any],
    capacity: str | None,
    *,
    batch_size: int,
    segment_seconds: float,
    device: torch.device,
    precision: Callable[[], AbstractContextManager[Any]],
) -> Ledger:
    """Measure a model and its counterpart; random numbers that training draws later stay the same.

    Args:
        name: of the model.
        written: config of a separator, with the widths as written.
        capacity: `parameters`, `macs`, or None.
        batch_size, segment_seconds: of training.
        device: of training.
        precision: makes the context that training's forward pass runs in.

    Raises:
        ConfigError: the config does not build.
    """
    own = match(written, capacity)
    twin = twin_of(written)
    other = Match(own.counterpart, None) if own.counterpart else match(twin, capacity) if twin else None
    configs = [(name, own.config)]
    if other is not None:
        configs.append(("its split twin" if twin else "its complex twin", other.config))
    costs = []
    batch: tuple[int, ...] = ()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        for row_name, config in configs:
            separator = Separator.from_config(config)
            n_samples = round(segment_seconds * separator.sample_rate)
            batch = (batch_size, 1, separator.stft.n_frequencies, separator.stft.n_frames(n_samples))
            power = initial_power(separator.model)
            macs = count_macs_per_second(separator)
            try:
                kept, seconds = measure_step(separator.model.to(device), batch, precision)
            except torch.OutOfMemoryError:  # the model itself says so in its first step
                kept, seconds = None, None
            costs.append(Cost(row_name, count_parameters(separator), macs, kept, seconds, power))
    difference = None
    if other is not None:
        counts = [cost.macs_per_second if capacity == "macs" else cost.parameters_real for cost in costs]
        own_count, other_count = counts
        difference = 100.0 * ((other_count / own_count if twin else own_count / other_count) - 1.0)
    notes = [found.note for found in (own, other) if found is not None and found.note and capacity]
    if difference is not None and capacity and not notes and abs(difference) > 100.0 * TOLERANCE:
        notes = ["nearest that whole features allow"]
    return Ledger(capacity, difference, costs, batch, "; ".join(notes))


def initial_power(model: nn.Module) -> float | None:
    """Mean over the layers of E|w|² times fan-in: what a layer multiplies the power of its input with.

    It is equal between twins where both preserve variance, whatever their widths; the default weights of torch's
    complex layers have twice that of its real ones.

    Args:
        model: freshly made; without weights there is none.
    """
    powers = []
    for module in model.modules():
        weights = {
            name: weight
            for name, weight in module.named_parameters(recurse=False)
            if "weight" in name and weight.dim() >= 2 and not name.endswith("_imag")
        }
        for name, weight in weights.items():
            power = float(weight.detach().abs().square().mean())
            if name.endswith("_real"):
                imaginary = getattr(module, name.removesuffix("_real") + "_imag")
                power += float(imaginary.detach().square().mean())
            powers.append(power * _fan_in(module, weight))
    return sum(powers) / len(powers) if powers else None


def _fan_in(layer: nn.Module, weight: Tensor) -> float:
    kernel = list(weight.shape[2:])
    if getattr(layer, "transposed", False):  # torch's order of axes is then (in, out, ...)
        groups: Any = getattr(layer, "groups", 1)
        return fan_in(weight.shape[0] // groups, kernel, list(layer.stride))  # type: ignore[arg-type]
    return fan_in(weight.shape[1], kernel)


def measure_step(
    model: nn.Module, batch: tuple[int, ...], precision: Callable[[], AbstractContextManager[Any]]
) -> tuple[int, float]:
    """Return the bytes that a step keeps for its backward pass, and the seconds that it takes.

    Args:
        model: on the device of training; gradients are left in it.
        batch: shape of the spectrum (batch, channel, frequency, frame).
        precision: makes the context of the forward pass.
    """
    device = next(model.parameters()).device
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    spectrum = torch.randn(batch, dtype=torch.complex64, device=device)
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    def step() -> None:
        with precision():
            estimate = model.apply_mask(spectrum, model(spectrum))  # type: ignore[operator]
            power = torch.view_as_real(estimate).square().mean()
        power.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    model.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step()
    times: list[float] = []
    while len(times) < STEPS and sum(times) < STEPS_SECONDS:
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return sum(kept.values()), min(times)

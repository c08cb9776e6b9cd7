"""What a model is, without data: its layers with shapes and costs, how much audio it sees, and how long it waits.

    receptive field   the audio that one frame of the estimate is made of, the windows of its frames included
    latency           how much later a sample goes out than it came in, at least: what it needs must be there

Both take the level as given: what is measured over an utterance is handed in by whoever knows the utterance. They
are infinite where a recurrence, attention or a norm over frames has no end (`audiocx.models.reach` measures it).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from audiocx.layers.causal import CausalConvolution
from audiocx.layers.halves import Halves, RecurrentHalves
from audiocx.layers.planar import PlanarLayer
from audiocx.layers.recurrent import BothDirections
from audiocx.models.counting import COUNTED_SECONDS, count_parameters, frames_of, macs_of_modules, on_meta
from audiocx.models.reach import Reach, measure_reach
from audiocx.models.separator import Separator

WRAPPERS = (BothDirections, Halves, RecurrentHalves)
"""Modules that hand on what the layers in them do."""


@dataclass(frozen=True)
class Layer:
    """A layer of a model.

    Attributes:
        name: where it is in the model.
        kind: its class.
        shape: of its output, batch left out, for `COUNTED_SECONDS` of audio.
        parameters_real: real trainable parameters.
        macs_per_second: real multiply-adds for a second of one channel.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters_real: int
    macs_per_second: int


@dataclass(frozen=True)
class Description:
    """What `describe_model` finds.

    Attributes:
        layers: in the order of their first calls.
        parameters_real: real trainable parameters.
        parameters_without_norms: of them, those outside norms.
        macs_per_second: real multiply-adds for a second of one channel, four for a complex product.
        reach: in frames.
        receptive_field_seconds: (win_length + (total - 1) * hop_length) / sample_rate.
        latency_ms: 1000 * (win_length + ahead * hop_length) / sample_rate.
        causal: the model can go through a stream.
        utterance_level: the level is measured over a whole recording.
    """

    layers: list[Layer]
    parameters_real: int
    parameters_without_norms: int
    macs_per_second: int
    reach: Reach
    receptive_field_seconds: float
    latency_ms: float
    causal: bool
    utterance_level: bool

    def table(self) -> tuple[str, list[str], list[list[str]], str]:
        """Title, columns, rows and note of a table."""
        rows = [
            [
                layer.name.removeprefix("network."),
                layer.kind,
                " x ".join(map(str, layer.shape)),
                f"{layer.parameters_real:,}" if layer.parameters_real else "",
                f"{layer.macs_per_second / 1e6:.2f} M" if layer.macs_per_second else "",
            ]
            for layer in self.layers
        ]
        title = f"Layers; outputs are plane x frequency x frame, of {COUNTED_SECONDS:g} s"
        return title, ["layer", "kind", "output", "reals", "MAC/s"], rows, ""

    def lines(self) -> list[str]:
        """Sentences that say what the totals are."""
        reach = self.reach
        lines = [
            f"parameters: {self.parameters_real:,} real ones, {self.parameters_without_norms:,} without norms",
            f"multiply-adds: {self.macs_per_second / 1e6:,.1f} M for a second of audio, four for a complex product",
            f"receptive field: {self.receptive_field_seconds:.3f} s of audio make a frame of the estimate, "
            f"{reach.total} frames with their windows; {reach.past} past ones at most, {reach.ahead} ahead",
            f"latency: {self.latency_ms:.1f} ms, a window and the frames ahead; the computing comes on top",
        ]
        if math.inf in (reach.past, reach.ahead):
            lines.append(f"inf: further than {reach.looked_at} frames, as recurrences and attention reach")
        if self.utterance_level:
            lines.append(
                "level: of the whole recording, taken as known here; level=running knows the past alone"
            )
        lines.append("causal: goes through a stream" if self.causal else "not causal: goes through no stream")
        return lines

    def facts(self) -> dict[str, int | float]:
        """The totals, by the names under which they are printed."""
        names = ("parameters_real", "parameters_without_norms", "macs_per_second")
        return {name: getattr(self, name) for name in (*names, "receptive_field_seconds", "latency_ms")}

    def last_line(self) -> str:
        """The totals, for a program to read: `key=value` with a space between; `inf` where there is no end."""
        return " ".join(
            f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.facts().items()
        )


def describe_model(separator: Separator) -> Description:
    """Describe a separator. Nothing is computed but on a tiny copy of its model; random numbers stay as they are.

    Args:
        separator: any device.
    """
    stft = separator.stft
    layers, macs = layers_of(separator)
    reach = measure_reach(separator)
    norms = sum(count_parameters(norm) for norm in _norms(separator.model))
    n_parameters = count_parameters(separator)
    return Description(
        layers,
        n_parameters,
        n_parameters - norms,
        macs,
        reach,
        (stft.win_length + (reach.total - 1) * stft.hop_length) / stft.sample_rate,
        1000.0 * (stft.win_length + reach.ahead * stft.hop_length) / stft.sample_rate,
        separator.causal,
        separator.uses_utterance_level,
    )


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a norm: it, or a class that it is derived from, has `Norm` in its name."""
    return any("Norm" in cls.__name__ for cls in type(module).__mro__)


def _norms(module: nn.Module) -> Iterator[nn.Module]:
    """Find the outermost norms in a module."""
    for child in module.children():
        if is_norm(child):
            yield child
        else:
            yield from _norms(child)


def _is_layer(module: nn.Module) -> bool:
    """Whether a module is one row of the table, whatever it is made of."""
    if isinstance(module, WRAPPERS):
        return False
    ours = type(module).__module__.startswith("audiocx.layers.") or isinstance(module, PlanarLayer)
    own = any(True for _ in module.parameters(recurse=False))
    return ours or own or is_norm(module) or not any(True for _ in module.children())


def _find_layers(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    for key, child in module.named_children():
        path = f"{name}.{key}" if name else key
        if isinstance(child, CausalConvolution):
            yield path, child.convolution
        elif not _is_layer(child):
            yield from _find_layers(child, path)
        elif not isinstance(child, nn.Identity):
            yield path, child


def layers_of(separator: Separator) -> tuple[list[Layer], int]:
    """Return all layers of a model that are called, and its multiply-adds a second.

    Args:
        separator: any device; its model is copied to `meta`, where nothing is computed.
    """
    model = on_meta(separator.model)
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, outputs: Any) -> None:
            tensor = outputs[0] if isinstance(outputs, tuple) else outputs
            if isinstance(tensor, Tensor):
                shapes.setdefault(name, tuple(tensor.shape[1:]))

        return hook

    found = dict(_find_layers(model))
    for name, module in found.items():
        module.register_forward_hook(note(name))
    macs = macs_of_modules(model, separator.stft.n_frequencies, frames_of(separator))
    layers = [
        Layer(
            name,
            type(found[name]).__name__,
            shape,
            count_parameters(found[name]),
            round(macs.get(name, 0) / COUNTED_SECONDS),
        )
        for name, shape in shapes.items()
    ]
    total = round(macs[""] / COUNTED_SECONDS)
    between = total - sum(layer.macs_per_second for layer in layers)
    if between > len(layers):  # more than rounding
        layers.append(Layer("(between layers)", type(separator.model).__name__, (), 0, between))
    return layers, total

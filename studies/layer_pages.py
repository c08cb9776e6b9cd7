"""Write docs/layers.md below its mark from the layers themselves, and draw docs/images/activations_*.png.

python studies/layer_pages.py. Formulas, sources and shapes are those of docstrings; words, twins and gains those of
the tables that models are made by; whether a global phase passes is what the classes declare. A test holds the
committed page and pictures to that.
"""

from __future__ import annotations

import functools
import inspect
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import nn

from audiocx.checks.catalogue import ENTRIES
from audiocx.checks.entry import Entry
from audiocx.layers import initialisation
from audiocx.layers.planar import is_phase_equivariant
from audiocx.models.words import WORDS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "layers.md"
IMAGES = PAGE.parent / "images"
SECTIONS = ("Formula", "Source", "Args", "Shapes", "Raises")

FAMILIES = {
    "convolution": "Convolutions",
    "linear": "Linear maps",
    "norm": "Norms",
    "activation": "Activations",
    "gate": "Gates",
    "dropout": "Dropout",
    "pool": "Pools",
    "recurrence": "Recurrences",
    "unitary matrix": "Unitary matrices",
    "attention": "Attention",
    "halves": "Two halves",
}

FEATURES = 4
WORD_ARGUMENTS: dict[str, tuple[object, ...]] = {
    "norm": (FEATURES,),
    "activation": (FEATURES,),
    "gate": (FEATURES,),
    "dropout": (0.1,),
    "pool": ((2, 2), (2, 2), (0, 0)),
    "recurrence": (FEATURES, FEATURES),
}

DRAWN_WITH = {"ModReLU": {"bias": -0.5}, "CPReLU": {"slope_real": 0.5, "slope_imag": 0.1}}
"""Parameters that are drawn with another value than the start, where the layer is the identity or has one slope."""

PROBES = (1 + 1j, -1 + 2j, -2 - 1j, 0.5 - 0.25j, 0j)
"""Where a picture remembers the values that it was drawn from."""

REACH = 2.0
"""Largest part of the inputs drawn."""


# ---------------------------------------------------------------------------------------------------- docstrings


@dataclass(frozen=True)
class Text:
    """What a docstring says, by its parts."""

    summary: str
    prose: str
    sections: dict[str, str]


def text_of(layer: type[nn.Module]) -> Text:
    """Take the docstring of a class apart.

    Raises:
        ValueError: it has no formula, no source or no shapes.
    """
    lines = inspect.cleandoc(layer.__dict__.get("__doc__") or "").splitlines()
    parts: dict[str, list[str]] = {"": []}
    for line in lines:
        title = line[:-1] if line.endswith(":") else ""
        if title in SECTIONS:
            parts[title] = []
        else:
            parts[list(parts)[-1]].append(line)
    missing = [title for title in ("Formula", "Source", "Shapes") if title not in parts]
    if missing:
        raise ValueError(f"{layer.__name__}: its docstring has no {' and no '.join(missing)}")
    summary, *prose = parts.pop("")
    sections = {title: inspect.cleandoc("\n".join(body)) for title, body in parts.items()}
    return Text(summary, "\n".join(prose).strip(), sections)


def one_line(text: str) -> str:
    """Join the lines of a paragraph."""
    return " ".join(text.split())


def without_repeats(text: str, *, twin: bool) -> str:
    """Leave out the sentences that the page has in a place of their own: on phase, and on a twin with a word."""
    text = re.sub(r" (Not phase|Phase)-(equivariant|invariant)\.$", "", text)
    return re.sub(r"\s*Real twin: `[\w.]+`\.", "", text).strip() if twin else text


# ------------------------------------------------------------------------------------------------- what is declared


def layers() -> dict[str, dict[type[nn.Module], list[Entry]]]:
    """Return the forms of every layer in the catalogue, by family and class."""
    found: dict[str, dict[type[nn.Module], list[Entry]]] = {family: {} for family in FAMILIES}
    families: dict[type[nn.Module], str] = {}
    for entry in ENTRIES:
        family = families.setdefault(entry.layer_class, entry.family)
        found[family].setdefault(entry.layer_class, []).append(entry)
    return found


def is_real(entries: list[Entry]) -> bool:
    """Whether a layer is a real twin, as its docstring says in the first line."""
    return text_of(entries[0].layer_class).summary.startswith("Real twin of")


def phase(layer: type[nn.Module], entries: list[Entry]) -> str:
    """Say whether a global phase passes through, by what the class declares."""
    if entries[0].numbers == "real":
        return "does not pass through"
    if not hasattr(layer, "phase_equivariant"):
        return "passes through where it passes through the layers inside"
    if getattr(layer, "phase_invariant", False):
        return "changes nothing (invariant)"
    for base in layer.__mro__:
        if base.__module__.startswith("audiocx"):
            condition = re.search(r"self\.phase_equivariant = (.+)", inspect.getsource(base))
            if condition:
                return f"passes through if `{condition[1]}`"
    return "passes through" if layer.phase_equivariant else "does not pass through"


def class_name(layer: nn.Module) -> str:
    """Name a class as one imports it: torch's own by `nn`."""
    name = type(layer).__name__
    return f"nn.{name}" if type(layer).__module__.startswith("torch.") else name


@functools.cache
def word_rows() -> list[tuple[str, str, nn.Module, nn.Module]]:
    """List every word that has a layer: kind, word, complex layer, real twin."""
    rows = []
    for kind, table in WORDS.items():
        for word, (complex_layer, real_layer) in table.items():
            if word != "none":
                arguments = WORD_ARGUMENTS[kind]
                rows.append((kind, word, complex_layer(*arguments), real_layer(*arguments)))
    return rows


# ---------------------------------------------------------------------------------------------------------- page

MARK = "<!-- From here on the page is written by `python studies/layer_pages.py`. -->"


def words_table() -> str:
    """Table of all words."""
    lines = ["| kind | word | complex layer | a global phase passes | real twin |", "| --- " * 5 + "|"]
    for kind, word, layer, twin in word_rows():
        passes = "yes" if getattr(layer, "phase_equivariant", is_phase_equivariant(layer)) else "no"
        name = class_name(layer)
        lines.append(f"| {kind} | `{word}` | [`{name}`](#{name.lower()}) | {passes} | `{class_name(twin)}` |")
    return "\n".join(lines)


def entry_of(layer: type[nn.Module], entries: list[Entry], twins: dict[str, str]) -> str:
    """Write down one layer."""
    text = text_of(layer)
    words = [row for row in word_rows() if type(row[2]) is layer]
    summary, prose = (without_repeats(part, twin=bool(words)) for part in (text.summary, text.prose))
    lines = [f"### {layer.__name__}", "", f"`{layer.__module__}`. {summary}", ""]
    if prose:
        lines += [prose, ""]
    lines += ["```text", text.sections["Formula"], "```", ""]
    if entries[0].family == "activation":
        lines += [f"![{layer.__name__}](images/{picture_name(layer)})", ""]
        drawn = DRAWN_WITH.get(layer.__name__)
        if drawn:
            values = ", ".join(f"`{name}` = {value}" for name, value in drawn.items())
            lines += [f"Drawn with {values}.", ""]
    lines += [
        f"- Source: {one_line(text.sections['Source'])}",
        f"- Shapes: {one_line(text.sections['Shapes'])}",
    ]
    if entries[0].shape:
        lines.append(f"- A global phase {phase(layer, entries)}.")
    if words:
        names = ", ".join(f"`{word}`" for _, word, _, _ in words)
        lines.append(f"- Word: {names} ({words[0][0]})")
        lines.append(f"- Real twin: `{class_name(words[0][3])}`")
    elif layer.__name__ in twins:
        lines.append(f"- Real twin: `{twins[layer.__name__]}`")
    gains = [
        f"{initialisation.GAINS[word]:.3f}, of the real twin {initialisation.REAL_GAINS[word]:.3f}"
        for _, word, _, _ in words
        if word in initialisation.GAINS and entries[0].family in ("activation", "gate")
    ]
    if gains:
        lines.append(f"- Gain of the weights before it: {gains[0]}")
    return "\n".join(lines)


def twins_table(real: list[type[nn.Module]]) -> str:
    """Table of the real twins of a family that are classes of audiocx."""
    lines = ["| real twin | of | formula | shapes |", "| --- " * 4 + "|"]
    for layer in real:
        text = text_of(layer)
        formula = "<br>".join(f"`{line.strip()}`" for line in text.sections["Formula"].splitlines())
        shapes = one_line(text.sections["Shapes"])
        cells = (f"`{layer.__name__}`", f"`{twin_of(layer)}`", formula, shapes)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines)


def twin_of(layer: type[nn.Module]) -> str:
    """Name of the complex layer that a real one is the twin of."""
    named = re.match(r"Real twin of `(\w+)`", text_of(layer).summary)
    assert named is not None
    return named[1]


ACTIVATION_PICTURES = """\
Each picture shows f over the plane of z. Left, the colour at z is that of f(z): hue is its phase, lightness its
modulus, from 0 in black towards infinity in white, with lines at the moduli 0.5, 1 and 1.5. Right, where f takes
the circles and rays of the plane of z, in the colours of the phases that they come from. The plane itself,
f(z) = z:

![The plane](images/activations_plane.png)
"""


def gains_section() -> str:
    """Section on initial weights, from the docstring of their module."""
    _, *prose = inspect.cleandoc(initialisation.__doc__ or "").splitlines()
    words = ", ".join(f"`{word}`" for word in initialisation.INITIALISERS)
    return (
        "## Initial weights\n\n"
        f"Convolutions and linear maps take `initial`: {words}.\n\n" + "\n".join(prose).strip() + "\n"
    )


def generated() -> str:
    """Write all of the page that stands below its mark."""
    by_family = layers()
    twins = {
        twin_of(layer): layer.__name__
        for classes in by_family.values()
        for layer, entries in classes.items()
        if is_real(entries)
    }
    parts = ["", words_table() + "\n"]
    for family, title in FAMILIES.items():
        classes = by_family[family]
        parts.append(f"## {title}\n")
        if family == "activation":
            parts.append(ACTIVATION_PICTURES)
        real = [layer for layer, entries in classes.items() if is_real(entries)]
        parts += [
            entry_of(layer, entries, twins) + "\n" for layer, entries in classes.items() if layer not in real
        ]
        if real:
            parts.append(twins_table(real) + "\n")
    parts.append(gains_section())
    return "\n".join(parts)


# -------------------------------------------------------------------------------------------------------- pictures


def activations() -> dict[str, nn.Module]:
    """Return every complex activation as it is drawn, by the name of its picture; the plane is the identity."""
    drawn: dict[str, nn.Module] = {"activations_plane.png": nn.Identity()}
    for layer, entries in layers()["activation"].items():
        if is_real(entries):
            continue
        module = entries[0].make()
        with torch.no_grad():
            for name, value in DRAWN_WITH.get(layer.__name__, {}).items():
                module.get_parameter(name).fill_(value)
        drawn[picture_name(layer)] = module
    return drawn


def picture_name(layer: type[nn.Module]) -> str:
    """Name the picture of an activation."""
    return f"activations_{layer.__name__.lower()}.png"


def values_of(module: nn.Module, points: np.ndarray) -> np.ndarray:
    """Apply an activation to complex points of any shape."""
    inputs = torch.from_numpy(points.reshape(1, 1, -1)).to(torch.complex128).repeat(1, FEATURES, 1)
    with torch.no_grad():
        outputs: torch.Tensor = module.double()(inputs)
    return outputs[0, 0].numpy().reshape(points.shape)


def probed(module: nn.Module) -> np.ndarray:
    """Return an activation at the points that its picture remembers."""
    return values_of(module, np.array(PROBES))


def remembered(picture: Path) -> np.ndarray:
    """Return the values that a picture was drawn from."""
    with Image.open(picture) as image:
        return np.array([complex(word) for word in image.text["values"].split()])


def colours(values: np.ndarray) -> np.ndarray:
    """Domain colouring (..., 3): hue is phase, red for positive numbers; lightness is modulus, 1/2 at 1."""
    lightness = 1.0 - 2.0 ** -np.abs(values)
    hue = np.angle(values) / (2.0 * np.pi) % 1.0
    value = lightness + np.minimum(lightness, 1.0 - lightness)
    saturation = np.where(value > 0.0, 2.0 - 2.0 * lightness / np.maximum(value, 1e-12), 0.0)
    return hsv_to_rgb(np.clip(np.stack((hue, saturation, value), -1), 0.0, 1.0))


def draw_colours(axis: Axes, module: nn.Module) -> None:
    """Draw f(z) over the plane of z."""
    line = np.linspace(-REACH, REACH, 401)
    values = values_of(module, line[None, :] + 1j * line[:, None])
    axis.imshow(
        colours(values), origin="lower", extent=(-REACH, REACH, -REACH, REACH), interpolation="bilinear"
    )
    axis.contour(line, line, np.abs(values), levels=(0.5, 1.0, 1.5), colors="white", linewidths=0.6)
    axis.set_title("colour of f(z) over z", fontsize=8)


def draw_grid(axis: Axes, module: nn.Module) -> None:
    """Draw where circles and rays of the plane of z come to lie, in the colours of their phases."""
    phases, radii = np.linspace(-np.pi, np.pi, 721), np.linspace(0.0, REACH, 201)
    rays = radii[:, None] * np.exp(1j * np.arange(0.0, 2.0 * np.pi, np.pi / 12.0))[None, :]
    circles = np.linspace(0.25, REACH, 8)[None, :] * np.exp(1j * phases)[:, None]
    for lines in (circles, rays):
        images = values_of(module, lines)
        for points, image in zip(lines.T, images.T, strict=True):
            phase_colours = colours(np.exp(1j * np.angle(points)))
            axis.scatter(image.real, image.imag, s=0.7, c=phase_colours, linewidths=0.0, rasterized=True)
    axis.set_title("where f takes circles and rays", fontsize=8)
    axis.set_facecolor("0.95")


def draw(module: nn.Module, place: Path) -> None:
    """Draw an activation, and let the picture remember a few of its values."""
    figure = Figure(figsize=(5.6, 2.8), dpi=110)
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    axes = figure.subplots(1, 2)
    draw_colours(axes[0], module)
    draw_grid(axes[1], module)
    for axis, name in zip(axes, ("z", "f(z)"), strict=True):
        axis.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
        axis.set_xticks(range(-2, 3))
        axis.set_yticks(range(-2, 3))
        axis.tick_params(labelsize=7)
        axis.set_xlabel(f"real part of {name}", fontsize=7)
        axis.set_ylabel(f"imaginary part of {name}", fontsize=7)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    memory = PngInfo()
    memory.add_text("values", " ".join(str(complex(np.round(value, 6))) for value in probed(module)))
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.save(place, optimize=True, pnginfo=memory)


def main() -> None:
    """Write the page and its pictures."""
    head, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    PAGE.write_text(head + (mark or MARK) + "\n" + generated(), encoding="utf-8")
    print(PAGE)
    for name, module in activations().items():
        draw(module, IMAGES / name)
        print(IMAGES / name)


if __name__ == "__main__":
    main()

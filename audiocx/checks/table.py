"""The table layer x proof, and below it once each what fails and why something does not apply."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from audiocx.checks.proofs import Proof, Result

MARKS = {"holds": ("✓", "green"), "fails": ("✗", "bold red"), "no": ("–", "dim")}
N_NAMED = 3
"""Layers that are named where a proof does not apply; of more the number is told."""


def heading(proof: Proof) -> str:
    """Number of a proof, with a letter for the second of that number."""
    return f"{proof.number}b" if proof.key == "onnx" else str(proof.number)


def table_of(results: Sequence[Result], proofs: Sequence[Proof]) -> Table:
    """Layers down, proofs across.

    Args:
        results: of every layer and proof.
        proofs: the columns.
    """
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("layer", no_wrap=True, overflow="ellipsis")
    for proof in proofs:
        table.add_column(heading(proof), justify="right", no_wrap=True, min_width=2)
    states = {(result.entry.name, result.proof.key): result.state for result in results}
    family = None
    for entry in {result.entry.name: result.entry for result in results}.values():
        if entry.family not in (family, "own"):
            table.add_row(Text(entry.family, style="italic"))
        family = entry.family
        cells = [Text(*MARKS[states[entry.name, proof.key]]) for proof in proofs]
        table.add_row(Text(entry.name), *cells)
    return table


def legend(proofs: Iterable[Proof]) -> list[str]:
    """What each column says."""
    return [f"{heading(proof):>3}  {proof.key}: {proof.says}" for proof in proofs]


def failures(results: Iterable[Result]) -> list[str]:
    """What does not hold, and why, a line each."""
    return [
        f"✗ {heading(result.proof)} {result.proof.key}: {result.entry.name}: {result.why}"
        for result in results
        if result.state == "fails"
    ]


def remarks(results: Iterable[Result], proofs: Sequence[Proof]) -> list[str]:
    """Why proofs do not apply, each reason once, and what was seen of those that hold."""
    lines = []
    for state, mark in (("no", "–"), ("holds", "✓")):
        for proof in proofs:
            reasons: dict[str, list[str]] = {}
            for result in results:
                if result.proof is proof and result.state == state and result.why:
                    reasons.setdefault(result.why, []).append(result.entry.name)
            for why, names in reasons.items():
                who = "; ".join(names) if len(names) <= N_NAMED else f"{len(names)} layers"
                lines.append(f"{mark} {heading(proof)} {proof.key}: {why} ({who})")
    return lines


def summary(results: Sequence[Result], seconds: float) -> str:
    """How many hold, fail and do not apply, in a line."""
    n = {state: sum(result.state == state for result in results) for state in MARKS}
    n_layers = len({result.entry.name for result in results})
    layers = "layer" if n_layers == 1 else "layers"
    return (
        f"{n_layers} {layers}: {n['holds']} proofs hold, {n['fails']} fail, {n['no']} do not apply; "
        f"{seconds:.0f} s"
    )

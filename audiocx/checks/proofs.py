"""The ten proofs, to which layers each applies, and how a layer's short form of all is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from audiocx.checks import lowering, numerics, phases, properties
from audiocx.checks.comparing import ProofError, in_words
from audiocx.checks.entry import Entry
from audiocx.checks.processes import check_processes
from audiocx.layers.norm import WhiteningBatchNorm

NO_PAIRS = "real twins and layers that know nothing of pairs have no phase"
NO_INPUT = "it takes no input"


@dataclass(frozen=True)
class Proof:
    """One thing that layers must hold.

    Attributes:
        number, key: of the proof.
        says: what holds, in a line.
        reason: why it does not apply to a layer, or None.
        check: raises `ProofError` where it does not hold; may return what it saw.
        check_all: the same of many layers at once, for what takes long to start: why it does not hold, by name.
        quick: part of the short form.
    """

    number: int
    key: str
    says: str
    reason: Callable[[Entry], str | None]
    check: Callable[[Entry], str | None] | None = None
    check_all: Callable[[Sequence[Entry]], dict[str, str | None]] | None = None
    quick: bool = True

    def why_not(self, entry: Entry) -> str | None:
        """Why the proof does not apply to a layer; None: it does."""
        return entry.without.get(self.key) or self.reason(entry)


@dataclass(frozen=True)
class Result:
    """What came of a proof of a layer.

    Attributes:
        entry, proof: of what.
        state: `holds`, `fails`, or `no` where it does not apply.
        why: of a failure, or of what does not apply; something to note of a proof that holds.
    """

    entry: Entry
    proof: Proof
    state: str
    why: str | None = None


def _of_all(entry: Entry) -> str | None:
    del entry
    return None


def _reference(entry: Entry) -> str | None:
    return "none is given: --reference" if entry.reference is None else None


def _phase(entry: Entry) -> str | None:
    return None if entry.is_complex else NO_PAIRS


def _forms(entry: Entry) -> str | None:
    if not entry.is_complex:
        return NO_PAIRS
    return None if entry.native and entry.planar else "it takes one form only"


def _processes(entry: Entry) -> str | None:
    return None if entry.shape else NO_INPUT


def _training(entry: Entry) -> str | None:
    is_whitening = entry.layer_class is WhiteningBatchNorm and entry.training
    return None if is_whitening else "a proof of the whitening norm in training"


def _onnx(entry: Entry) -> str | None:
    if not entry.planar:
        return "ONNX has no complex numbers"
    missing = [name for name in ("onnxruntime", "onnxscript") if find_spec(name) is None]
    return f"{' and '.join(missing)} not installed" if missing else None


def _properties(entry: Entry) -> str | None:
    if properties.properties_of(entry):
        return None
    return "no state, transposed convolution, unitary matrix or decay"


def _silent(check: Callable[[Entry], None]) -> Callable[[Entry], str | None]:
    def run(entry: Entry) -> str | None:
        check(entry)
        return None

    return run


def _export_key(entry: Entry) -> str | None:
    return entry.without.get("export") or _onnx(entry)


PROOFS = (
    Proof(
        1, "reference", "equals an independent reference in complex128", _reference,
        _silent(numerics.check_reference),
    ),
    Proof(
        2, "gradients", "gradcheck; finite at 0, 1e-23, denormals and silence; z.grad = 2 ∂L/∂z̄", _of_all,
        _silent(numerics.check_gradients),
    ),
    Proof(3, "phase", "a global phase passes as declared", _phase, phases.check_phase),
    Proof(4, "forms", "native complex equals planar", _forms, _silent(numerics.check_forms)),
    Proof(
        5, "bfloat16", "autocast within a tolerance; statistics, norms, states, coefficients in float32",
        _of_all, _silent(lowering.check_bfloat16),
    ),
    Proof(
        6, "compile", "torch.compile in one graph gives the same", _of_all,
        _silent(lowering.check_compiled),
    ),
    Proof(
        7, "processes", "two processes equal one with the whole batch", _processes,
        check_all=check_processes,
    ),
    Proof(
        8, "steps", "1 000 training steps at rank-deficient input: finite, memory flat", _training,
        _silent(properties.check_training),
    ),
    Proof(
        9, "export", "torch.export gives the same, recurrences at a length and as a step", _of_all,
        _silent(lowering.check_exported),
    ),
    Proof(
        9, "onnx", "onnxruntime gives the same, recurrences at a length and as a step", _export_key,
        check_all=lowering.check_onnx, quick=False,
    ),
    Proof(
        10, "property", "adjoint, unitarity, |λ| < 1, pieces with the state equal the whole", _properties,
        _silent(properties.check_properties),
    ),
)  # fmt: skip


def run_proofs(
    entries: Sequence[Entry], proofs: Sequence[Proof], tell: Callable[[str], None] = lambda words: None
) -> Iterator[Result]:
    """Run proofs of layers, those that are run of many at once last.

    Args:
        entries: the layers.
        proofs: what to prove.
        tell: is told what begins, for a display.

    Yields:
        A result for every layer and proof, in the order of running.
    """
    for entry in entries:
        for proof in proofs:
            why_not = proof.why_not(entry)
            if why_not is not None:
                yield Result(entry, proof, "no", why_not)
            elif proof.check is not None:
                tell(f"{entry.name}: {proof.key}")
                yield _run(entry, proof, proof.check)
    for proof in proofs:
        if proof.check_all is not None:
            applying = [entry for entry in entries if proof.why_not(entry) is None]
            tell(f"{proof.key} of all")
            found = _run_all(applying, proof.check_all) if applying else {}
            for entry in applying:
                why = found[entry.name]
                yield Result(entry, proof, "holds" if why is None else "fails", why)


def _run_all(
    entries: Sequence[Entry], check: Callable[[Sequence[Entry]], dict[str, str | None]]
) -> dict[str, str | None]:
    try:
        return check(entries)
    except Exception as error:  # of what surrounds the layers, as processes that do not start
        return {entry.name: f"raises {in_words(error)}" for entry in entries}


def _run(entry: Entry, proof: Proof, check: Callable[[Entry], str | None]) -> Result:
    try:
        return Result(entry, proof, "holds", check(entry))
    except ProofError as error:
        return Result(entry, proof, "fails", str(error))
    except Exception as error:  # a layer that raises holds nothing
        return Result(entry, proof, "fails", f"raises {in_words(error)}")

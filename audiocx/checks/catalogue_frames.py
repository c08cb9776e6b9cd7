"""Recurrences, unitary matrices and attention of the catalogue."""

from __future__ import annotations

import functools

from audiocx.checks import reference_attention, reference_recurrences
from audiocx.checks.entry import Entry, entries
from audiocx.layers.attention import WEIGHTINGS, ComplexAttention, RealAttention
from audiocx.layers.gated_unit import ComplexGatedUnit, RealGatedUnit
from audiocx.layers.halves import RecurrentHalves
from audiocx.layers.linear_recurrence import LinearRecurrence, RealLinearRecurrence
from audiocx.layers.quasi_complex import QuasiComplexRecurrence, RealRecurrence
from audiocx.layers.recurrent import BothDirections, GatedLinearRecurrence, RealGatedLinearRecurrence
from audiocx.layers.unitary import FactoredUnitary, FullOrthogonal, FullUnitary
from audiocx.layers.unitary_recurrence import OrthogonalRecurrence, UnitaryRecurrence

SEQUENCES = (2, 4, 3, 7)  # (batch, feature, place, frame)

FACTORED = 1e-6
"""The factored matrix keeps its Fourier transform in float32."""

RECURRENCES = [
    *entries(
        "recurrence",
        SEQUENCES,
        [
            (
                "GatedLinearRecurrence",
                lambda: GatedLinearRecurrence(4, 3),
                reference_recurrences.gated_linear,
            ),
            (
                "GatedLinearRecurrence, gates of moduli",
                lambda: GatedLinearRecurrence(4, 3, gates="modulus"),
                reference_recurrences.gated_linear,
            ),
            (
                "QuasiComplexRecurrence, LSTM",
                lambda: QuasiComplexRecurrence(4, 3),
                reference_recurrences.quasi_complex,
            ),
            (
                "QuasiComplexRecurrence, GRU",
                lambda: QuasiComplexRecurrence(4, 3, cell="gru"),
                reference_recurrences.quasi_complex,
            ),
            ("ComplexGatedUnit", lambda: ComplexGatedUnit(4, 3), reference_recurrences.gated_unit),
            ("UnitaryRecurrence", lambda: UnitaryRecurrence(4, 3), reference_recurrences.unitary),
        ],
        has_state=True,
    ),
    Entry(
        "LinearRecurrence",
        "recurrence",
        lambda: LinearRecurrence(4, 4),
        SEQUENCES,
        reference=reference_recurrences.linear,
        has_state=True,
        holomorphic=True,
    ),
    Entry(
        "UnitaryRecurrence, factored matrix",
        "recurrence",
        lambda: UnitaryRecurrence(4, 3, matrix="factored"),
        SEQUENCES,
        reference=reference_recurrences.unitary,
        reference_tolerance=FACTORED,
        has_state=True,
    ),
    Entry(
        "BothDirections, of GatedLinearRecurrence",
        "recurrence",
        lambda: BothDirections(
            GatedLinearRecurrence(4, 3), GatedLinearRecurrence(4, 3, reverse=True), paired=True
        ),
        SEQUENCES,
        reference=reference_recurrences.both_directions,
    ),
    *entries(
        "recurrence",
        SEQUENCES,
        [
            (
                "RealGatedLinearRecurrence",
                lambda: RealGatedLinearRecurrence(4, 3),
                reference_recurrences.gated_linear,
            ),
            ("RealLinearRecurrence", lambda: RealLinearRecurrence(4, 4), reference_recurrences.linear),
            ("RealRecurrence, LSTM", lambda: RealRecurrence(4, 3), reference_recurrences.real_recurrence),
            (
                "RealRecurrence, GRU",
                lambda: RealRecurrence(4, 3, cell="gru"),
                reference_recurrences.real_recurrence,
            ),
            ("RealGatedUnit", lambda: RealGatedUnit(4, 3), reference_recurrences.gated_unit),
            ("OrthogonalRecurrence", lambda: OrthogonalRecurrence(4, 3), reference_recurrences.unitary),
            (
                "RecurrentHalves, of RealGatedLinearRecurrence",
                lambda: RecurrentHalves(lambda: RealGatedLinearRecurrence(2, 3)),
                reference_recurrences.recurrent_halves,
            ),
        ],
        numbers="real",
        has_state=True,
    ),
]

MATRICES = [
    *entries(
        "unitary matrix",
        (),
        [
            ("FullUnitary", lambda: FullUnitary(4), reference_recurrences.block_of_matrix),
            ("FullOrthogonal", lambda: FullOrthogonal(4), reference_recurrences.block_of_matrix),
        ],
        numbers="real",
    ),
    Entry(
        "FactoredUnitary",
        "unitary matrix",
        lambda: FactoredUnitary(4),
        (),
        "real",
        reference_recurrences.block_of_matrix,
        reference_tolerance=FACTORED,
    ),
]

ATTENTIONS = [
    *(
        Entry(
            f"ComplexAttention, {weighting}",
            "attention",
            functools.partial(ComplexAttention, 4, 2, weighting=weighting),
            SEQUENCES,
            reference=reference_attention.attention,
            # The phase of a small score is a quotient of rounded numbers.
            bfloat16_tolerance=0.04 if weighting == "modulus_phase" else 0.01,
        )
        for weighting in WEIGHTINGS
    ),
    Entry(
        "ComplexAttention, causal without rotary phase",
        "attention",
        lambda: ComplexAttention(4, 2, rotary=False, causal=True),
        SEQUENCES,
        reference=reference_attention.attention,
    ),
    Entry(
        "RealAttention",
        "attention",
        lambda: RealAttention(4, 2),
        SEQUENCES,
        "real",
        reference_attention.real_attention,
    ),
]

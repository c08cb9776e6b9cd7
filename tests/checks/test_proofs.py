"""The ten proofs, each over every layer of the catalogue that it applies to; what it says is in audiocx.checks."""

from __future__ import annotations

import copy
import importlib
import inspect
import pkgutil

import pytest
import torch
from torch import nn

import audiocx.layers
from audiocx.checks import lowering, numerics, phases, properties
from audiocx.checks.catalogue import ENTRIES, HELPERS
from audiocx.checks.processes import check_processes
from audiocx.checks.proofs import PROOFS

# torch's LSTM and GRU keep their weights in a list of their own, and export says so.
pytestmark = pytest.mark.filterwarnings("ignore:The tensor attributes")

BY_KEY = {proof.key: proof for proof in PROOFS}

IN_THE_FAST_SET = {
    "ComplexConv2d, grouped",
    "WhiteningBatchNorm",
    "ModulusGLU",
    "LinearRecurrence",
}
"""What compiles and exports there; the others take half a minute together."""

A_THOUSAND_STEPS = {"unitary matrix"}


def applying(key: str, *, fast: set[str] | None = None) -> list:
    """Layers that a proof applies to; slow but for those in `fast`, if there are such."""
    return [
        pytest.param(
            entry, id=entry.name, marks=() if fast is None or entry.name in fast else pytest.mark.slow
        )
        for entry in ENTRIES
        if BY_KEY[key].why_not(entry) is None
    ]


def one_of_each_family() -> list:
    """The first of each, but for twins."""
    firsts = {entry.family: entry for entry in reversed(ENTRIES)}
    return [pytest.param(entry, id=entry.name) for entry in firsts.values()]


def test_no_layer_is_missing():
    written = set()
    for found in pkgutil.iter_modules(audiocx.layers.__path__):
        module = importlib.import_module(f"audiocx.layers.{found.name}")
        written |= {
            name
            for name, member in inspect.getmembers(module, inspect.isclass)
            if issubclass(member, nn.Module)
            and member.__module__ == module.__name__
            and not name.startswith("_")
        }
    assert {entry.layer_class.__name__ for entry in ENTRIES} == written - set(HELPERS)
    assert set(HELPERS) <= written


def test_names_are_unique_and_begin_with_the_class():
    names = [entry.name for entry in ENTRIES]
    assert len(set(names)) == len(names)
    assert all(entry.name.partition(",")[0] == entry.layer_class.__name__ for entry in ENTRIES)


def test_exceptions_are_of_proofs_that_there_are():
    assert {key for entry in ENTRIES for key in entry.without} <= set(BY_KEY)
    assert {proof.number for proof in PROOFS} == set(range(1, 11))


@pytest.mark.parametrize("entry", applying("reference"))
def test_1_equals_an_independent_reference(entry):
    numerics.check_reference(entry)


@pytest.mark.parametrize("entry", applying("gradients"))
def test_2_gradients(entry):
    numerics.check_gradients(entry)


@pytest.mark.parametrize("entry", applying("phase"))
def test_3_global_phase_is_as_declared(entry):
    assert phases.check_phase(entry) is None  # nothing to be told: all of audiocx declares


@pytest.mark.parametrize("entry", applying("forms"))
def test_4_native_equals_planar(entry):
    numerics.check_forms(entry)


@pytest.mark.parametrize("entry", applying("bfloat16"))
def test_5_bfloat16(entry):
    lowering.check_bfloat16(entry)


@pytest.mark.parametrize("entry", applying("compile", fast=IN_THE_FAST_SET))
def test_6_compiles_into_one_graph(entry):
    lowering.check_compiled(entry)


@pytest.mark.slow
@pytest.mark.parametrize("entry", one_of_each_family())
def test_6_compiles_with_inductor(entry):
    lowering.check_compiled(entry, backend="inductor")


@pytest.mark.slow
def test_7_two_processes_equal_one_with_the_whole_batch():
    entries = [entry for entry in ENTRIES if BY_KEY["processes"].why_not(entry) is None]
    assert {name: why for name, why in check_processes(entries).items() if why} == {}


@pytest.mark.slow
@pytest.mark.parametrize("entry", applying("steps"))
def test_8_a_thousand_steps_at_rank_deficient_input(entry):
    properties.check_training(entry)


@pytest.mark.parametrize("entry", applying("export", fast=IN_THE_FAST_SET))
def test_9_exports(entry):
    lowering.check_exported(entry)


@pytest.mark.slow
def test_9_runs_in_onnxruntime():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    entries = [entry for entry in ENTRIES if BY_KEY["onnx"].why_not(entry) is None]
    assert {name: why for name, why in lowering.check_onnx(entries).items() if why} == {}


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(*case.values, id=case.id, marks=pytest.mark.slow)
        if case.values[0].family in A_THOUSAND_STEPS
        else case
        for case in applying("property")
    ],
)
def test_10_properties(entry):
    properties.check_properties(entry)


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in ENTRIES])
def test_what_is_kept_in_inference_follows_the_weights(entry):
    """Whatever changes them: an optimizer in place, other weights loaded, another type."""
    layer, arguments = entry.layer().eval(), entry.arguments(entry.layer())
    with torch.no_grad():
        numerics.call(layer, *arguments)
        for parameter in layer.parameters():
            parameter.mul_(0.5)
        changed = numerics.call(layer, *arguments)
        assert torch.equal(changed, numerics.call(copy.deepcopy(layer), *arguments))
        layer.load_state_dict(entry.layer(seed=4).state_dict())
        loaded = numerics.call(layer, *arguments)
        assert torch.equal(loaded, numerics.call(entry.layer(seed=4).eval(), *arguments))
        precise = numerics.call(layer.double(), *(argument.double() for argument in arguments))
        assert precise.dtype == torch.float64
        torch.testing.assert_close(precise.float(), loaded, rtol=1e-3, atol=1e-4)

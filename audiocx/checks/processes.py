"""Proof of several processes: gradients and statistics of a batch in two parts are those of the whole."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, distributed, multiprocessing, nn

from audiocx.checks.catalogue import ENTRIES
from audiocx.checks.comparing import ProofError, in_words, require_equal
from audiocx.checks.entry import Entry
from audiocx.checks.numerics import call

N_ITEMS = 4
SHARDS = ((0, 3), (3, 4))
"""Unequal: three items and one."""


def check_processes(entries: Sequence[Entry]) -> dict[str, str | None]:
    """Run all layers in one pair of processes and compare with one process that has the whole batch.

    Returns:
        Why a layer's proof does not hold, or None, by name.
    """
    with tempfile.TemporaryDirectory() as folder:
        # Lambdas of the catalogue do not go into another process: it has a catalogue of its own.
        given = [entry.name if entry in ENTRIES else entry for entry in entries]
        multiprocessing.start_processes(
            _process, args=(folder, given), nprocs=len(SHARDS), start_method="spawn"
        )
        parts = [torch.load(Path(folder) / f"{rank}.pt") for rank in range(len(SHARDS))]
    found: dict[str, str | None] = {}
    for entry in entries:
        try:
            whole = results(entry, entry.layer(torch.float64), slice(0, N_ITEMS))
            _compare(whole, [part[entry.name] for part in parts])
        except ProofError as error:
            found[entry.name] = str(error)
        except Exception as error:
            found[entry.name] = f"raises {in_words(error)}"
        else:
            found[entry.name] = None
    return found


def results(entry: Entry, layer: nn.Module, items: slice) -> dict[str, Tensor]:
    """Outputs, gradients and buffers of a layer that has some items of a batch."""
    planes = entry.planes(batch=N_ITEMS)
    planes[-1] += 1.0  # the parts of the batch have different means
    on_planes, leaf = entry.on_planes(layer), planes[items].clone().requires_grad_()
    outputs = call(on_planes, leaf)
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(N_ITEMS, *outputs.shape[1:], generator=generator, dtype=outputs.dtype)
    (outputs * weight[items]).sum().backward()
    assert leaf.grad is not None
    found = {"each output": outputs.detach(), "each gradient of the input": leaf.grad}
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None
        found[f"summed gradient of {name}"] = parameter.grad
    return found | {f"same {name}": value.clone() for name, value in layer.named_buffers()}


def _compare(whole: dict[str, Tensor], parts: list[dict[str, Tensor] | str]) -> None:
    for part in parts:
        if isinstance(part, str):
            raise ProofError(part)
    for name, wanted in whole.items():
        kind, _, what = name.partition(" ")
        tensors = [part[name] for part in parts if not isinstance(part, str)]
        if kind == "same":
            for tensor in tensors:
                require_equal(tensor, wanted, 1e-9, what)
        else:
            joined = torch.cat(tensors) if kind == "each" else tensors[0] + tensors[1]
            require_equal(joined, wanted, 1e-9, what)


def _process(rank: int, folder: str, given: list[str | Entry]) -> None:
    torch.set_num_threads(1)
    by_name = {entry.name: entry for entry in ENTRIES}
    entries = [by_name[one] if isinstance(one, str) else one for one in given]
    # Before the processes meet: norms come with statistics of a batch, here of one process.
    layers = [entry.layer(torch.float64) for entry in entries]
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=len(SHARDS)
    )
    items = slice(*SHARDS[rank])
    found: dict[str, dict[str, Tensor] | str] = {}
    for entry, layer in zip(entries, layers, strict=True):
        try:
            found[entry.name] = results(entry, layer, items)
        except Exception as error:  # of one layer, and not of those that come after it
            found[entry.name] = f"raises {in_words(error)}"
    torch.save(found, Path(folder) / f"{rank}.pt")
    # Neither leaves while the other may still be on its way in.
    distributed.barrier()
    distributed.destroy_process_group()

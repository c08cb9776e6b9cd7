"""Whitening over two processes, beside the proof over all layers: the form for compilation, and alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from audiocx.layers.norm import WhiteningBatchNorm
from audiocx.layers.whitening import plain_whiten_batch, whiten_batch

SHARDS = [(0, 3), (3, 4)]  # unequal: three items and one


def make_layer() -> WhiteningBatchNorm:
    layer = WhiteningBatchNorm(3).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer


def whole_batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    planar, gradient = (torch.randn(4, 6, 5, 7, generator=generator, dtype=torch.float64) for _ in range(2))
    planar[:, 3:] += planar[:, :3] + 2.0
    planar[3] += 5.0  # the shards have different means
    return planar, gradient


def results(
    layer: WhiteningBatchNorm, planar: torch.Tensor, gradient: torch.Tensor
) -> dict[str, torch.Tensor]:
    planar = planar.clone().requires_grad_()
    outputs = layer(planar)
    outputs.backward(gradient)
    found = {"outputs": outputs.detach(), "gradient": planar.grad}
    for name, parameter in layer.named_parameters():
        found[f"gradient of {name}"] = parameter.grad
    return found | {name: value.clone() for name, value in layer.named_buffers()}


def _process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    shard = slice(*SHARDS[rank])
    planar, gradient = whole_batch()
    found = results(make_layer(), planar[shard], gradient[shard])
    layer = make_layer()
    parameters = (layer.weight.view(3, -1), layer.bias.view(2, -1), layer.epsilon)
    inputs = [planar[shard].clone().requires_grad_() for _ in range(2)]
    for form, x in zip((whiten_batch, plain_whiten_batch), inputs, strict=True):
        form(x, *parameters, synchronise=True)[0].backward(gradient[shard])
    found["plain gradient"] = inputs[1].grad
    alone = WhiteningBatchNorm(3, synchronise=False).double()
    alone(planar[shard])
    found["alone"] = alone.running_mean.clone()
    torch.save(found, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> list[dict[str, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.start_processes(_process, args=(str(folder),), nprocs=2, start_method="spawn")
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.slow
def test_the_form_for_compilation_sums_over_processes_too(processes):
    for found in processes:
        torch.testing.assert_close(found["plain gradient"], found["gradient"])


@pytest.mark.slow
def test_statistics_of_its_own_where_asked(processes):
    planar, _ = whole_batch()
    for found, shard in zip(processes, SHARDS, strict=True):
        mean = 0.1 * planar[slice(*shard)].mean((0, 2, 3)).view(2, -1)
        torch.testing.assert_close(found["alone"], mean)

"""Blocks: whatever looks no farther than a guard is exactly what it is without blocks."""

import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.inference.blocks import ALIGNMENT_HOPS, BlockPlan, plan_blocks, process_in_blocks
from audiocx.signal.stft import STFT


def pieces_of(waveform, n_piece):
    return [waveform[:, start : start + n_piece] for start in range(0, waveform.shape[-1], n_piece)]


def stitched(waveform, process, plan, n_piece=777):
    return torch.cat(list(process_in_blocks(pieces_of(waveform, n_piece), process, plan)), dim=-1)


@pytest.fixture
def waveform():
    return torch.randn(2, 10_007, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("n_piece", [1, 777, 100_000])
@pytest.mark.parametrize(
    "plan", [BlockPlan(1000, 100), BlockPlan(1500, 500), BlockPlan(3, 1), BlockPlan(20_000, 9)]
)
def test_a_gain_comes_out_exactly(waveform, plan, n_piece):
    short = waveform[:, :2000]  # many pieces of one sample are slow
    estimate = stitched(short, lambda block: torch.stack([0.7 * block, -block]), plan, n_piece)
    assert torch.equal(estimate, torch.stack([0.7 * short, -short]))


@pytest.mark.parametrize("n_samples", [1, 2, 99, 100, 101, 999, 1000, 1001, 1899, 1900, 1901, 2800, 2801])
def test_every_length_comes_out_whole(n_samples):
    waveform = torch.arange(float(n_samples))[None]
    lengths = []

    def identity(block):
        lengths.append(block.shape[-1])
        return block[None]

    estimate = stitched(waveform, identity, BlockPlan(1000, 100))

    assert torch.equal(estimate[0], waveform)
    assert all(length == 1000 for length in lengths[:-1])
    assert lengths == [n_samples] if n_samples <= 1000 else 100 < lengths[-1] <= 1000


@pytest.mark.parametrize("window", ["sqrt_hann", "hann"])
@pytest.mark.parametrize(("n_fft", "hop"), [(512, 256), (512, 128), (400, 100)])
def test_a_filter_over_frequencies_comes_out_as_without_blocks(window, n_fft, hop):
    stft = STFT(n_fft=n_fft, hop_length=hop, window=window)
    gain = torch.linspace(0, 1, stft.n_frequencies)[:, None] * torch.exp(
        1j * torch.linspace(0, 9, stft.n_frequencies)[:, None]
    )
    plan = plan_blocks(stft, 3.0, 0.6)
    waveform = torch.randn(2, 200_001, generator=torch.Generator().manual_seed(1))

    def process(block):
        return stft.inverse(stft(block) * gain, block.shape[-1])[None]

    assert plan.guard_samples > n_fft
    torch.testing.assert_close(stitched(waveform, process, plan), process(waveform), rtol=0, atol=1e-6)


def test_what_a_block_lacks_at_its_edges_is_not_heard(waveform):
    """A process that spoils both ends of every block: only the recording's own ends show it."""
    plan = BlockPlan(1000, 120)

    def spoil(block):
        spoilt = block.clone()
        spoilt[:, : plan.guard_samples] = 99.0
        spoilt[:, -plan.guard_samples :] = -99.0
        return spoilt[None]

    estimate = stitched(waveform, spoil, plan)[0]

    inside = slice(plan.guard_samples, -plan.guard_samples)
    assert torch.equal(estimate[:, inside], waveform[:, inside])
    assert (estimate[:, : plan.guard_samples] == 99.0).all()


def test_where_blocks_differ_the_fade_is_smooth():
    """Block k says k: the stitched result climbs from one to the next, and never jumps."""
    plan = BlockPlan(1000, 400)
    counter = iter(range(100))
    estimate = stitched(
        torch.zeros(1, 5000), lambda block: torch.full((1, *block.shape), float(next(counter))), plan
    )
    steps = estimate[0, 0].diff()
    assert estimate[0, 0, -1] >= 6
    assert float(steps.min()) >= 0
    assert float(steps.max()) == pytest.approx(1 / (plan.fade_samples + 1), rel=1e-3)


def test_blocks_keep_the_frames_of_the_whole():
    for stft in (STFT(), STFT(n_fft=400, hop_length=100), STFT(n_fft=1024, hop_length=256)):
        for block_seconds in (0.1, 1.0, 7.3, 20.0):
            plan = plan_blocks(stft, block_seconds)
            assert plan.hop_samples % (ALIGNMENT_HOPS * stft.hop_length) == 0
            assert plan.block_samples >= 3 * plan.overlap_samples > 0


def test_plans_are_about_as_long_as_asked():
    plan = plan_blocks(STFT(), 20.0, 2.0)
    assert plan.block_samples / 16_000 == pytest.approx(20.0, abs=0.26)
    assert plan.overlap_samples / 16_000 == pytest.approx(2.0, abs=0.26)
    assert plan_blocks(STFT(), 20.0) == plan


@pytest.mark.parametrize("lengths", [(0.0, None), (-1.0, None), (float("nan"), None), (4.0, 2.1), (4.0, 0.0)])
def test_lengths_that_do_not_fit(lengths):
    with pytest.raises(ConfigError, match="seconds"):
        plan_blocks(STFT(), *lengths)


def test_no_samples_give_no_blocks():
    assert list(process_in_blocks([torch.zeros(1, 0)], lambda block: block[None], BlockPlan(100, 10))) == []

"""Many files: what is done stays done, what fails is told, and the rest goes on."""

import numpy as np
import pytest
import soundfile

from audiocx.inference.enhancer import Enhancer
from audiocx.inference.file_batch import Job, Outcome, enhance_file


@pytest.fixture
def jobs(tmp_path):
    for name in "abc":
        soundfile.write(tmp_path / f"{name}.wav", np.full(1000, 0.5), 16_000)
    return [Job(tmp_path / f"{name}.wav", tmp_path / "out" / f"{name}_enhanced.wav") for name in "abc"]


def enhance_files(enhancer: Enhancer, jobs: list[Job], *, overwrite: bool = False) -> list[Outcome]:
    return [enhance_file(enhancer, job, overwrite=overwrite) for job in jobs]


def test_one_failure_does_not_stop_the_rest(known_separator, jobs):
    jobs[1].input.write_text("no audio")

    outcomes = enhance_files(Enhancer(known_separator()), jobs)

    assert [outcome.job for outcome in outcomes] == jobs
    assert [outcome.report is not None for outcome in outcomes] == [True, False, True]
    assert "b.wav: not an audio file" in outcomes[1].failure
    assert not any(outcome.skipped for outcome in outcomes)
    assert sorted(path.name for path in jobs[0].output.parent.iterdir()) == [
        "a_enhanced.wav",
        "c_enhanced.wav",
    ]


def test_an_error_nobody_thought_of_is_told_with_its_kind(known_separator, jobs, monkeypatch):
    separator = known_separator()

    def fail(waveform, conditions=None):
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr(separator, "forward", fail)
    outcome = enhance_file(Enhancer(separator), jobs[0])
    assert outcome.failure == f"{jobs[0].input}: RuntimeError: out of memory"


def test_ctrl_c_is_no_failure(known_separator, jobs):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enhance_file(Enhancer(known_separator()), jobs[0], progress=interrupt)
    assert not jobs[0].output.exists()


def test_what_is_there_is_skipped(known_separator, jobs):
    enhance_files(Enhancer(known_separator()), jobs[:2])
    before = jobs[0].output.stat().st_mtime_ns

    outcomes = enhance_files(Enhancer(known_separator(gains=(0.5,))), jobs)

    assert [outcome.skipped for outcome in outcomes] == [True, True, False]
    assert jobs[0].output.stat().st_mtime_ns == before
    assert soundfile.read(jobs[0].output)[0][0] == 0.5


def test_unless_it_is_to_be_done_again(known_separator, jobs):
    enhance_files(Enhancer(known_separator()), jobs)
    outcomes = enhance_files(Enhancer(known_separator(gains=(0.5,))), jobs, overwrite=True)
    assert all(outcome.report is not None for outcome in outcomes)
    assert soundfile.read(jobs[2].output)[0][0] == 0.25


def test_every_output_is_looked_at(known_separator, jobs):
    enhancer = Enhancer(known_separator(gains=(1.0, 0.5)))
    first = enhance_file(enhancer, jobs[0])
    first.report.outputs[1].unlink()
    assert enhance_file(enhancer, jobs[0]).report is not None
    assert enhance_file(enhancer, jobs[0]).skipped

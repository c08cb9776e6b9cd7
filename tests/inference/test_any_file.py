"""Any file through `audiocx enhance`: the right output and exit 0, or one line and exit 1; never a traceback."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from audiocx.apps.enhance import main
from audiocx.models.separator import Separator

RATES = (8000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000)
ALLOWED_BY_CODEC = {"OPUS": (8000, 16_000, 48_000), "MPEG_LAYER_III": (16_000, 22_050, 44_100)}

# Forms that a WAV made from them keeps; what it lacks becomes PCM that is as fine.
KEPT = {"PCM_16", "PCM_24", "PCM_32", "PCM_U8", "FLOAT", "DOUBLE", "ULAW", "ALAW"}
AS_FINE = {"ALAC_20": "PCM_24", "ALAC_24": "PCM_24", "ALAC_32": "PCM_32"}

COMMON = {"WAV", "WAVEX", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64", "RF64"}

# libsndfile writes these and cannot read them back, whoever asks.
UNREADABLE = {("AIFF", "DWVW_16"), ("AIFF", "DWVW_24")}


@pytest.fixture(scope="module")
def model(tiny_separator: Separator, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    tiny_separator.save(folder)
    return str(folder)


@pytest.fixture
def enhance(model, tmp_path, monkeypatch, capfd) -> Callable[..., tuple[int, str]]:
    """Run the command in an empty folder; gives the exit code and all that stood on standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        code = main([*arguments, "-o", "out", "--checkpoint", model])
        error = capfd.readouterr().err
        assert "Traceback" not in error
        return code, error

    return run


def signal(n_samples: int, n_channels: int, sample_rate: int) -> NDArray[np.float32]:
    """A tone and noise, (sample, channel)."""
    time = np.arange(n_samples)[:, None] / sample_rate
    tone = np.sin(2 * np.pi * 400 * time + np.arange(n_channels))
    noise = np.random.default_rng(0).standard_normal((n_samples, n_channels))
    return (0.3 * tone + 0.03 * noise).astype(np.float32)


def writable_forms() -> list[object]:
    """(container, subtype, channels, rate): every form, the channels and rates taken in turn where it has them."""
    forms = []
    for container in soundfile.available_formats():
        for subtype in soundfile.available_subtypes(container):
            if container == "RAW" or not soundfile.check_format(container, subtype):
                continue
            number = len(forms)
            rates = ALLOWED_BY_CODEC.get(subtype, RATES)
            marks = [] if container in COMMON else [pytest.mark.slow]
            form = (container, subtype, 1 + number % 8, rates[number % len(rates)])
            forms.append(pytest.param(*form, marks=marks, id="-".join(map(str, form))))
    return forms


def written(path: Path, container: str, subtype: str, n_channels: int, sample_rate: int) -> bool:
    """Write a file with as many channels as the form takes, mono at last; False where libsndfile cannot."""
    for channels, rate in ((n_channels, sample_rate), (2, sample_rate), (1, sample_rate), (1, 8000)):
        try:
            soundfile.write(path, signal(3001, channels, rate), rate, format=container, subtype=subtype)
        except soundfile.LibsndfileError:
            path.unlink(missing_ok=True)
        else:
            return True
    return False


def check_result(source: Path, subtype: str) -> None:
    """The output is what libsndfile alone says of the input, and not a copy of it."""
    samples, sample_rate = soundfile.read(source, always_2d=True, dtype="float32")
    target = Path("out") / f"{source.stem}_enhanced.wav"
    info = soundfile.info(target)
    estimate, _ = soundfile.read(target, always_2d=True, dtype="float32")
    assert (info.format, info.subtype, info.samplerate) == ("WAV", subtype, sample_rate)
    assert estimate.shape == samples.shape
    assert np.isfinite(estimate).all()
    assert [path.name for path in Path("out").iterdir()] == [target.name]


@pytest.mark.parametrize(
    ("container", "subtype", "n_channels", "sample_rate"),
    writable_forms(),
)
def test_every_form_that_libsndfile_writes(enhance, container, subtype, n_channels, sample_rate):
    source = Path(f"a.{container.lower()}")
    if not written(source, container, subtype, n_channels, sample_rate):
        pytest.skip("libsndfile names this form and cannot write it")

    code, error = enhance(str(source))

    if (container, subtype) in UNREADABLE:
        assert (code, error.count("\n")) == (1, 1)
        assert not Path("out").exists()
    else:
        assert (code, error) == (0, "")
        check_result(source, subtype if subtype in KEPT else AS_FINE.get(subtype, "PCM_16"))


def square(n_samples: int) -> NDArray[np.float64]:
    return np.where(np.arange(n_samples) // 40 % 2 == 0, 1.0, -1.0)


NOISE = signal(6000, 1, 16_000)
CONTENTS = {
    "one sample": (np.array([0.5]), "FLOAT"),
    "two samples of 8 channels": (np.full((2, 8), 0.1), "FLOAT"),
    "digital silence": (np.zeros(6000), "PCM_16"),
    "silence in one of two channels": (np.concatenate([NOISE, 0 * NOISE], axis=1), "FLOAT"),
    "a constant": (np.full(6000, 0.7), "FLOAT"),
    "a constant at full scale": (np.ones(6000), "PCM_16"),
    "a full-scale square": (square(6000), "PCM_16"),
    "a full-scale square, 8 bits": (square(6000), "PCM_U8"),
    "a full-scale square in mu-law": (square(6000), "ULAW"),
    "one click": (np.eye(1, 6000, 3000)[0], "PCM_24"),
    "1e-30": (1e-30 * NOISE, "FLOAT"),
    "denormal": (1e-42 * NOISE, "FLOAT"),
    "one step of 16 bits": (2.0**-15 * square(6000), "PCM_16"),
    "+20 dBFS": (10 * square(6000), "FLOAT"),
    "+120 dBFS": (1e6 * NOISE, "DOUBLE"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_any_samples(enhance, name):
    waveform, subtype = CONTENTS[name]
    soundfile.write("a.wav", waveform, 16_000, subtype=subtype)

    assert enhance("a.wav") == (0, "")

    check_result(Path("a.wav"), subtype)
    estimate = soundfile.read("out/a_enhanced.wav")[0]
    if not np.any(waveform):
        assert not np.any(estimate)
    elif subtype in ("FLOAT", "DOUBLE"):
        # The mask's bound is 2 for each bin.
        assert 0 < np.abs(estimate).max() <= 16 * np.abs(waveform).max()


@dataclass(frozen=True)
class Broken:
    """A file that cannot be enhanced: how to make it, and what the line says."""

    words: str
    make: Callable[[Path], object]
    name: str = "a.wav"


def wav(path: Path, waveform: NDArray[np.floating] = NOISE, subtype: str = "PCM_16") -> bytes:
    soundfile.write(path, waveform, 16_000, subtype=subtype)
    return path.read_bytes()


def cut(keep: Callable[[int], int]) -> Callable[[Path], object]:
    def make(path: Path) -> object:
        noise = np.random.default_rng(0).uniform(-0.3, 0.3, 40_000)
        soundfile.write(path, noise, 16_000, format="NIST" if path.suffix == ".sph" else None)
        content = path.read_bytes()
        return path.write_bytes(content[: keep(len(content))])

    return make


def spoilt(value: float, position: int) -> Callable[[Path], object]:
    def make(path: Path) -> object:
        waveform = NOISE.copy()
        waveform[position] = value
        return wav(path, waveform, "FLOAT")

    return make


def patched(at: bytes, offset: int, value: bytes) -> Callable[[Path], object]:
    """A good file with some bytes of its header replaced, `offset` bytes behind a mark."""

    def make(path: Path) -> object:
        content = bytearray(wav(path))
        start = content.index(at) + offset
        content[start : start + len(value)] = value
        return path.write_bytes(content)

    return make


def random_bytes(path: Path) -> object:
    return path.write_bytes(np.random.default_rng(0).bytes(20_000))


def half(n_bytes: int) -> int:
    return n_bytes // 2


BROKEN = {
    "empty file": Broken("the file is empty", Path.touch),
    "a link to nothing": Broken("no such file", lambda path: path.symlink_to("gone")),
    "a link to itself": Broken("a.wav", lambda path: path.symlink_to(path.name)),
    "words": Broken("not an audio file", lambda path: path.write_text("no audio\n" * 99)),
    "NaN": Broken("NaN at sample 3000 (0.188 s) of channel 1", spoilt(np.nan, 3000)),
    "NaN first": Broken("NaN at sample 0 ", spoilt(np.nan, 0)),
    "Inf": Broken("Inf at sample 5999 ", spoilt(np.inf, 5999)),
    "-Inf": Broken("Inf at sample 17 ", spoilt(-np.inf, 17)),
    "beyond float32": Broken("Inf at sample", lambda path: wav(path, 1e300 * np.ones(50), "DOUBLE")),
    "the largest float32": Broken("not finite", lambda path: wav(path, 3e38 * square(6000), "FLOAT")),
    "a rate of 0": Broken("a.wav", patched(b"fmt ", 12, bytes(4))),
    "a rate of 7 Hz": Broken("expected a whole number from 1000 to", patched(b"fmt ", 12, b"\x07\0\0\0")),
    "a rate of 2 GHz": Broken("sample rate", patched(b"fmt ", 12, b"\0\0\0\x77")),
    "no channels": Broken("a.wav", patched(b"fmt ", 10, bytes(2))),
    "65535 channels": Broken("a.wav", patched(b"fmt ", 10, b"\xff\xff")),
    "an unknown codec": Broken("not an audio file", patched(b"fmt ", 8, b"\x34\x12")),
    "no samples": Broken("no samples", lambda path: wav(path, np.zeros((0, 2)))),
    **{
        f"random bytes named .{suffix}": Broken("not an audio file", random_bytes, f"a.{suffix}")
        for suffix in ("wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "opus")
    },
    **{
        f"{suffix} cut within its header": Broken("a.", cut(lambda n_bytes: 30), f"a.{suffix}")
        for suffix in ("wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64", "rf64", "sph")
    },
    **{
        f"{suffix} cut in the middle": Broken("a.", cut(half), f"a.{suffix}")
        for suffix in ("wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64", "rf64", "sph")
    },
}  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="links and names differ")
@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_enhanced_is_one_line_and_exit_1(enhance, kind):
    broken = BROKEN[kind]
    source = Path(broken.name)
    broken.make(source)

    code, error = enhance(str(source))

    assert (code, error.count("\n")) == (1, 1), error
    assert error.startswith(f"failed: {source}: ")
    assert broken.words in error
    assert not Path("out").exists()


def test_no_permission_to_read(enhance, monkeypatch):
    """Simulated, because the superuser may read everything."""
    wav(Path("a.wav"))
    real_open = Path.open

    def refuse(path: Path, mode: str = "r", **options: object) -> object:
        if path.name == "a.wav":
            raise PermissionError(13, "Permission denied", str(path))
        return real_open(path, mode, **options)

    monkeypatch.setattr(Path, "open", refuse)
    assert enhance("a.wav") == (1, "failed: a.wav: cannot be read; got Permission denied\n")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "name", ["größe 音声 🎤.wav", " two  spaces .wav", "%s{0}[b]'\".wav", "two\nlines.wav", "x"]
)
def test_any_name(enhance, name):
    soundfile.write(name, NOISE, 16_000, format="WAV")
    assert enhance(name) == (0, "")
    check_result(Path(name), "PCM_16")


def test_a_broken_file_of_two_lines_name_is_one_line(enhance):
    Path("two\nlines.wav").write_text("no audio")
    code, error = enhance("two\nlines.wav")
    assert (code, error.count("\n")) == (1, 1)


@pytest.mark.skipif(os.name != "posix", reason="links differ")
def test_a_link_is_the_file_it_stands_for(enhance):
    Path("elsewhere").mkdir()
    wav(Path("elsewhere/b.wav"))
    Path("a.wav").symlink_to("elsewhere/b.wav")
    assert enhance("a.wav") == (0, "")
    check_result(Path("a.wav"), "PCM_16")


def test_a_folder_named_as_a_file_is_a_folder(enhance):
    Path("x.wav").mkdir()
    code, error = enhance("x.wav")
    assert (code, error.count("\n")) == (2, 1)
    assert "no audio files in x.wav" in error
    wav(Path("x.wav/a.wav"))
    assert enhance("x.wav") == (0, "")
    check_result(Path("x.wav/a.wav"), "PCM_16")


def test_one_broken_file_leaves_no_folder_beside_a_good_one(enhance):
    Path("in/deep").mkdir(parents=True)
    wav(Path("in/a.wav"))
    Path("in/deep/b.wav").write_text("no audio")
    code, error = enhance("in")
    assert (code, error.count("\n")) == (1, 1)
    assert [path.name for path in Path("out").rglob("*")] == ["a_enhanced.wav"]


@pytest.mark.parametrize("gain_db", [-40, 20])
@pytest.mark.parametrize(("sample_rate", "n_channels"), [(16_000, 1), (44_100, 2)])
def test_a_file_turned_up_or_down_changes_by_that_gain(enhance, gain_db, sample_rate, n_channels):
    waveform, gain = signal(40_000, n_channels, sample_rate), 10 ** (gain_db / 20)
    soundfile.write("a.wav", waveform, sample_rate, subtype="FLOAT")
    soundfile.write("b.wav", gain * waveform, sample_rate, subtype="FLOAT")

    assert enhance("a.wav", "b.wav", "--block-seconds", "1") == (0, "")

    plain, turned = (soundfile.read(f"out/{name}_enhanced.wav")[0] for name in "ab")
    difference = np.linalg.norm(turned / gain - plain) / np.linalg.norm(plain)
    assert 20 * np.log10(1 + difference) < 0.01  # dB, sample by sample

from __future__ import annotations

from audiocx.errors import AudiocxError, AudioFileError, describe, missing_extra, nearest


def test_message_is_one_line_in_order():
    text = describe("a.wav: rate\ndiffers", expected="16000 Hz", got="8000 Hz", do="resample it")
    assert text == "a.wav: rate differs; expected 16000 Hz, got 8000 Hz; resample it"


def test_nearest_names_one_or_all():
    assert nearest("spilt", ["split", "complex"]) == "did you mean `split`?"
    assert nearest("xyz", ["b", "a"]) == "known: a, b"


def test_exit_codes():
    assert AudiocxError.exit_code == 2
    assert AudioFileError.exit_code == 1


def test_missing_extra_names_the_extra():
    assert 'pip install "audiocx[metrics]"' in str(missing_extra("pesq", "metrics", "PESQ"))

"""From command-line words to files, and to where results go."""

from pathlib import Path

import pytest

from audiocx.audio.find import Found, audio_suffixes, find_audio, pair_with_outputs
from audiocx.errors import ConfigError


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A working folder with sounds at several depths, and things that are none."""
    for name in (
        "a.wav",
        "in/b.WAV",
        "in/deep/er/c.flac",
        "in/deep/d [1].mp3",
        "in/.hidden.wav",
        "in/.git/e.wav",
        "in/notes.txt",
        "out/f_enhanced.wav",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pairs(found: list[Found]) -> list[tuple[str, str]]:
    return [(item.path.as_posix(), item.relative.as_posix()) for item in found]


def test_a_folder_keeps_its_tree(tree):
    assert pairs(find_audio(["in"])) == [
        ("in/b.WAV", "b.WAV"),
        ("in/deep/d [1].mp3", "deep/d [1].mp3"),
        ("in/deep/er/c.flac", "deep/er/c.flac"),
    ]


def test_a_file_goes_by_its_name(tree):
    assert pairs(find_audio(["in/deep/er/c.flac", "a.wav"])) == [
        ("a.wav", "a.wav"),
        ("in/deep/er/c.flac", "c.flac"),
    ]


def test_a_file_named_itself_needs_no_suffix_and_may_be_hidden(tree):
    assert pairs(find_audio(["in/notes.txt", "in/.hidden.wav"])) == [
        ("in/.hidden.wav", ".hidden.wav"),
        ("in/notes.txt", "notes.txt"),
    ]


def test_globs_are_relative_to_their_fixed_part(tree):
    assert pairs(find_audio(["in/**/*.flac"])) == [("in/deep/er/c.flac", "deep/er/c.flac")]
    assert pairs(find_audio(["in/de*"])) == [
        ("in/deep/d [1].mp3", "deep/d [1].mp3"),
        ("in/deep/er/c.flac", "deep/er/c.flac"),
    ]
    assert pairs(find_audio(["*.wav"])) == [("a.wav", "a.wav")]


def test_a_name_with_brackets_is_a_name_first(tree):
    assert pairs(find_audio(["in/deep/d [1].mp3"])) == [("in/deep/d [1].mp3", "d [1].mp3")]


def test_each_file_once(tree):
    (tree / "link").symlink_to(tree / "in")
    found = find_audio(["in", "./in/b.WAV", str(tree / "in/b.WAV"), "in/**/*.WAV", "link"])
    assert [item.path.name for item in found] == ["b.WAV", "d [1].mp3", "c.flac"]


def test_a_loop_of_links_ends(tree):
    (tree / "in/deep/loop").symlink_to(tree / "in")
    (tree / "in/deep/round").symlink_to(tree / "in")  # two of them: followed blindly, 2**40 folders
    assert len(find_audio(["in"])) == 3


def test_linked_folders_are_searched(tree, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "g.wav").touch()
    (tree / "in/link").symlink_to(elsewhere)
    assert ("in/link/g.wav", "link/g.wav") in pairs(find_audio(["in"]))


def test_results_are_no_inputs(tree):
    everything = find_audio(["."], exclude=Path("out"))
    assert "f_enhanced.wav" not in [item.path.name for item in everything]
    assert len(everything) == 4
    assert pairs(find_audio(["out/f_enhanced.wav"], exclude=Path("out"))) == [
        ("out/f_enhanced.wav", "f_enhanced.wav")
    ]
    with pytest.raises(ConfigError, match="1 below the output folder out"):
        find_audio(["out"], exclude=Path("out"))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (["none.wav"], "none.wav: no such file"),
        (["a.wav", "gone/b.wav"], "gone/b.wav: no such file"),
        (["*.ogg"], r"\*.ogg: the pattern matches nothing"),
        (["in/*.txt"], "no audio files in in/\\*.txt"),
        ([], "no audio files in no input"),
    ],
)
def test_what_is_not_there(tree, inputs, words):
    with pytest.raises(ConfigError, match=words) as caught:
        find_audio(inputs)
    assert caught.value.exit_code == 2


def test_outputs_have_the_stem_and_the_place(tree):
    planned = pair_with_outputs(find_audio(["in", "a.wav"]), Path("out"), "_enhanced.wav")
    assert [(a.as_posix(), b.as_posix()) for a, b in planned] == [
        ("a.wav", "out/a_enhanced.wav"),
        ("in/b.WAV", "out/b_enhanced.wav"),
        ("in/deep/d [1].mp3", "out/deep/d [1]_enhanced.wav"),
        ("in/deep/er/c.flac", "out/deep/er/c_enhanced.wav"),
    ]


def test_two_inputs_with_one_output_are_named(tree):
    (tree / "in/a.flac").touch()
    with pytest.raises(ConfigError, match=r"a\.wav and in/a\.flac would both be written to out/a_e"):
        pair_with_outputs(find_audio(["in", "a.wav"]), Path("out"), "_enhanced.wav")


def test_an_output_never_replaces_an_input(tree):
    (tree / "a_enhanced.wav").touch()
    with pytest.raises(ConfigError, match=r"a\.wav would replace the input a_enhanced\.wav"):
        pair_with_outputs(find_audio(["a.wav", "a_enhanced.wav"]), Path("."), "_enhanced.wav")


def test_suffixes_are_those_of_the_formats():
    assert {".wav", ".flac", ".ogg", ".mp3", ".opus"} <= set(audio_suffixes())
    assert list(audio_suffixes()) == sorted(audio_suffixes())

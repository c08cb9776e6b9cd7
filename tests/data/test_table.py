from __future__ import annotations

from pathlib import Path

import pytest

from audiocx.data.splitting import assign_parts, identities, read_splits
from audiocx.data.table import check_files, read_table
from audiocx.errors import DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"-")
    return root


def csv(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_a_folder_without_a_table_is_read_by_its_levels(tmp_path: Path) -> None:
    touch(tmp_path, "speech/ann/1.wav", "speech/ann/more/2.flac", "speech/bob/1.wav", "speech/bob/notes.txt")
    table = read_table(tmp_path / "speech", "speech")
    assert [row.facts["speaker"] for row in table.rows] == ["ann", "ann", "bob"]
    assert all(row.path.is_absolute() for row in table.rows)
    touch(tmp_path, "noise/rain/1.wav", "noise/loose.wav")
    rows = read_table(tmp_path / "noise", "noise").rows
    assert {(row.facts["class"], row.facts["recording"]) for row in rows} == {
        ("rain", "rain/1"), ("noise", "loose"),
    }  # fmt: skip
    touch(tmp_path, "rir/kitchen/1.wav", "rir/2.wav")
    assert {row.facts["room"] for row in read_table(tmp_path / "rir", "rir").rows} == {"kitchen", "2"}


def test_folders_named_after_the_parts_are_the_parts(tmp_path: Path) -> None:
    touch(tmp_path, "train/ann/1.wav", "dev/bob/1.wav", "test/cem/1.wav")
    table, how = assign_parts(read_table(tmp_path, "speech"))
    assert {(row.facts["speaker"], row.part) for row in table.rows} == {
        ("ann", "train"), ("bob", "valid"), ("cem", "test"),
    }  # fmt: skip
    assert how == "column split"


def test_a_csv_names_files_relative_to_itself(tmp_path: Path) -> None:
    file = csv(tmp_path / "set/list.csv", "\ufeffpath, speaker ,mine\nx/1.wav,ann,7\n\nx/2.wav,,\n")
    table = read_table(file, "speech")
    assert table.columns == ("path", "speaker", "mine")
    assert [row.path for row in table.rows] == [tmp_path / "set/x/1.wav", tmp_path / "set/x/2.wav"]
    assert table.rows[0].facts["mine"] == "7"
    assert table.rows[1].facts["speaker"] == "x/2"  # nobody known: a talker of its own
    with pytest.raises(DataError, match=r"x/1\.wav: no such file, named in the table .* \(and 1 more\)"):
        check_files(table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,speaker\na.wav,x\n", "no column `path`"),
        ("paths\na.wav\n", "did you mean `paths`"),
        ("", "no column `path`"),
        ("path\n", "no rows in it"),
        ("path,split\na.wav,train\na.wav,test\n", "2 rows for `a.wav`"),
        ("path,class\na.wav,rain,wind\n", "line 2 has more cells"),
        ("path,class\n,rain\n", "line 2 has no path"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = csv(tmp_path / "list.csv", text)
    with pytest.raises(DataError, match=message):
        read_table(file, "noise")


def test_an_empty_or_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no audio files"):
        read_table(tmp_path, "noise")
    with pytest.raises(DataError, match=r"data\.rir=.*no such file or folder"):
        read_table(tmp_path / "missing", "rir")


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    table = read_table(csv(tmp_path / "a.csv", "path,split\na.wav,train\nb.wav,tset\n"), "noise")
    with pytest.raises(DataError, match=r"the split of `b.wav` is none; .* got `tset`"):
        assign_parts(table)


def test_a_hash_parts_by_talker_and_stays(tmp_path: Path) -> None:
    lines = [f"{n}.wav,s{n // 3}" for n in range(150)]
    table, how = assign_parts(
        read_table(csv(tmp_path / "a.csv", "path,speaker\n" + "\n".join(lines)), "speech")
    )
    parts = {row.facts["speaker"]: row.part for row in table.rows}
    assert how == "hash"
    assert all(row.part == parts[row.facts["speaker"]] for row in table.rows)
    counts = [list(parts.values()).count(part) for part in ("train", "valid", "test")]
    assert counts == [40, 5, 5]
    more, _ = assign_parts(
        read_table(csv(tmp_path / "b.csv", "path,speaker\n" + "\n".join([*lines, "x.wav,new"])), "speech")
    )
    changed = {row.facts["speaker"] for row in more.rows if parts.get(row.facts["speaker"], "") != row.part}
    assert len(changed - {"new"}) <= 2


def test_a_hash_keeps_what_hangs_together_in_one_part(tmp_path: Path) -> None:
    # Ten chains: a file shares its recording with the next one and its group with the one after.
    lines = [f"{c}-{n}.wav,r{c}-{n // 2},g{c}-{(n + 1) // 2}" for c in range(10) for n in range(6)]
    file = csv(tmp_path / "a.csv", "path,recording,group\n" + "\n".join(lines))
    table, _ = assign_parts(read_table(file, "noise"))
    for chain in range(10):
        assert len({row.part for row in table.rows if row.facts["path"].startswith(f"{chain}-")}) == 1
    assert {row.part for row in table.rows} == {"train", "valid", "test"}


def test_a_file_of_splits_goes_before_the_column(tmp_path: Path) -> None:
    text = "path,speaker,split\n1.wav,ann,train\n2.wav,bob,train\n3.wav,cem,test\n"
    table = read_table(csv(tmp_path / "a.csv", text), "speech")
    splits = read_splits(csv(tmp_path / "s.csv", "speaker,path,split\nann,,valid\n,2.wav,test\n"))
    parted, how = assign_parts(table, splits)
    assert {row.facts["path"]: row.part for row in parted.rows} == {"1.wav": "valid", "2.wav": "test"}
    assert "1 rows left out" in how
    untouched, how = assign_parts(table, read_splits(csv(tmp_path / "t.csv", "room,split\nx,test\n")))
    assert how == "column split"
    assert len(untouched.rows) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speaker,part\nann,train\n", "a column `split` and one of path"),
        ("speaker,split\nann,train\nann,test\n", "speaker `ann` is in train and in test"),
        ("speaker,split\nann,sometimes\n", "the split of `ann` is none"),
    ],
)
def test_a_file_of_splits_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_splits(csv(tmp_path / "s.csv", text))


def test_speakers_of_two_corpora_may_share_a_name_and_authors_do_not_count(tmp_path: Path) -> None:
    file = csv(tmp_path / "a.csv", "path,corpus,speaker,author\n1.wav,one,007,x\n2.wav,two,007,x\n")
    first, second = read_table(file, "speech").rows
    assert not set(identities(first, "speech")) & set(identities(second, "speech"))

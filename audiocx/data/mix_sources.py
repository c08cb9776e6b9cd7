"""The recordings of `data=mix`: tables of speech, noise and room responses, their parts and their sounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audiocx.data.guard import contents_of, contents_of_test, refuse_copies, refuse_leaks
from audiocx.data.parts import PARTS
from audiocx.data.ready import ReadyTestSet
from audiocx.data.sound_store import open_sounds
from audiocx.data.sounds import Sounds
from audiocx.data.splits_file import read_splits
from audiocx.data.splitting import assign_parts
from audiocx.data.table import KINDS, Row, Table, check_files, keep_rows, read_table
from audiocx.data.where import column_named, columns_of, row_filter
from audiocx.errors import ConfigError, DataError, describe, nearest


class MixSources:
    """Tables of recordings with their sounds, read when they are first asked for.

    Args:
        places: a folder or CSV by kind: `speech`, `noise` and maybe `rir`.
        splits: a CSV that says which part something is of; None takes the tables' own.
        where: an expression that rows must fulfil, for the tables that have its columns; or one for each kind.
        sample_rate: of the sounds, in Hz.
        channel: which channel of a file is taken: `first`, `mean` or `random`; of responses always any.
        cache: the cache folder.
        gigabytes: at most so much decoded sound for each table; None is half of the free space.
        needs_test: whether the tables have to have a test part.

    Raises:
        ConfigError: `where` names an unknown table, or is no text.
    """

    def __init__(
        self,
        places: Mapping[str, str],
        splits: str | None,
        where: str | Mapping[str, str | None] | None,
        sample_rate: int,
        channel: str,
        cache: Path,
        gigabytes: float | None,
        needs_test: bool,
    ) -> None:
        self.places = dict(places)
        self.splits = splits
        self.where = _where_by_kind(where)
        self.sample_rate = sample_rate
        self.channel = channel
        self.cache = cache
        self.gigabytes = gigabytes
        self.needed = PARTS if needs_test else PARTS[:2]
        self.parts_by: dict[str, str] = {}
        self._tables: dict[str, Table] = {}
        self._sounds: dict[str, Sounds] = {}

    def open(self) -> None:
        """Read the tables and open their stores, once.

        Raises:
            DataError: a table, or a file that it names, is not as it should be.
            ConfigError: `where` does not fit.
        """
        if self._sounds:
            return
        everything = {kind: read_table(place, kind) for kind, place in self.places.items()}
        splits = None if self.splits is None else read_splits(self.splits)
        # Parts first, of whole tables: another `where` must not move anybody from training to the test.
        tables, self.parts_by = assign_parts(everything, splits, _filtered(everything, self.where))
        for table in tables.values():
            check_files(table)
            self._check_parts(table)
        sounds = {
            kind: open_sounds(
                [row.path for row in everything[kind].rows],
                [row.path for row in table.rows],
                self.sample_rate,
                "random" if kind == "rir" else self.channel,
                self.cache,
                self.gigabytes,
            )
            for kind, table in tables.items()
        }
        self._tables, self._sounds = tables, sounds

    def _check_parts(self, table: Table) -> None:
        """Check that a table has rows of all parts that are needed; of responses, validation may have none."""
        for part in PARTS[:1] if table.kind == "rir" else self.needed:
            if not table.of(part):
                raise DataError(
                    describe(
                        f"data.{table.kind}={self.places[table.kind]}: no rows for {part}"
                        f" ({self.parts_by[table.kind]})",
                        expected="rows of train and valid, and of test where data.test is not given",
                        got=", ".join(f"{part} {len(table.of(part))}" for part in PARTS),
                        do="set the column split, or data.splits=FILE"
                        + (", or ask for less with data.where" if self.where else ""),
                    )
                )

    def rows(self, kind: str, part: str) -> list[Row]:
        """Rows of a part of a table."""
        self.open()
        return self._tables[kind].of(part)

    def sounds(self, kind: str) -> Sounds:
        """The sounds of a table, all parts."""
        self.open()
        return self._sounds[kind]

    def refuse_leaks(self, ready: ReadyTestSet | None) -> None:
        """Stop where something stands in two parts, or in training or validation and in a ready test set.

        Raises:
            DataError: names what, and in which.
        """
        self.open()
        tables = list(self._tables.values())
        stores = [self._sounds[table.kind] for table in tables]
        parts = contents_of(tables, stores)
        if ready is not None:
            # A ready set may be made of the tables' test part: only the other two are held against it.
            test = contents_of_test(ready, tables)
            for part in parts[:2]:
                refuse_leaks([part, test])
            refuse_copies(test, tables, stores)
        refuse_leaks(parts)

    def content(self, *parts: str) -> list[list[Any]]:
        """List the sounds of parts by hash, with their facts: the same wherever the files lie."""
        self.open()
        rows: list[list[Any]] = []
        for kind, table in self._tables.items():
            store = self._sounds[kind]
            for part in parts:
                for row in table.of(part):
                    sound = store.sounds[store.numbers[str(row.path)]]
                    rows.append([kind, part, sound.sha256, row.facts])
        return rows

    def describe(self) -> dict[str, Any]:
        """Return sizes by kind and part, how the parts were decided, and which tables are streamed."""
        self.open()
        facts: dict[str, Any] = {
            kind: {part: self._sizes(kind, part) for part in PARTS} for kind in self._tables
        }
        facts["parts_by"] = dict(self.parts_by)
        facts["streamed"] = [kind for kind, store in self._sounds.items() if store.is_streamed]
        return facts

    def _sizes(self, kind: str, part: str) -> dict[str, Any]:
        rows, store = self._tables[kind].of(part), self._sounds[kind]
        if kind == "rir":
            return {"files": len(rows), "rooms": len({row.facts["room"] for row in rows})}
        sounds = [store.sounds[store.numbers[str(row.path)]] for row in rows]
        column, name = ("speaker", "talkers") if kind == "speech" else ("class", "classes")
        return {
            "files": len(rows),
            "minutes": round(sum(sound.n_samples for sound in sounds) / self.sample_rate / 60, 1),
            "recordings": len({row.facts["recording"] for row in rows}),
            name: len({(row.facts.get("corpus"), row.facts[column]) for row in rows}),
            "narrow_band": sum(sound.is_narrow for sound in sounds),
            "silent": sum(sound.active_power <= 0 for sound in sounds),
        }


def _filtered(tables: dict[str, Table], where: Mapping[str, str]) -> dict[str, Table]:
    """Keep the rows that expressions ask for.

    Args:
        tables: by kind.
        where: expressions by kind; `all` goes to every table that has all its columns.

    Raises:
        ConfigError: an expression does not fit.
        DataError: no row is left.
    """
    filtered = dict(tables)
    for key, text in where.items():
        option = "data.where" if key == "all" else f"data.where.{key}"
        if key == "all":
            kinds = _kinds_with_columns(tables, columns_of(text, option), option)
        elif key in tables:
            kinds = [key]
        else:
            raise ConfigError(describe(f"{option} is set without data.{key}"))
        for kind in kinds:
            table = filtered[kind]
            wanted = row_filter(text, table.columns, option)
            rows = [row for row in table.rows if wanted(row.facts)]
            filtered[kind] = keep_rows(table, rows, f"{option} takes none: {text}")
    return filtered


def _kinds_with_columns(tables: Mapping[str, Table], named: set[str], option: str) -> list[str]:
    """Tell which tables have all columns of an expression.

    Raises:
        ConfigError: none has.
    """
    kinds = [
        kind for kind, table in tables.items() if all(column_named(name, table.columns) for name in named)
    ]
    if kinds:
        return kinds
    known = {column for table in tables.values() for column in table.columns}
    wrong = sorted(name for name in named if column_named(name, known) is None)
    if wrong:
        raise ConfigError(describe(f"{option}: no column `{wrong[0]}`", do=nearest(wrong[0], known)))
    raise ConfigError(
        describe(
            f"{option}: no table has all of {', '.join(sorted(named))}",
            do="set data.where.speech, data.where.noise, data.where.rir",
        )
    )


def _where_by_kind(where: str | Mapping[str, str | None] | None) -> dict[str, str]:
    """Bring the setting to one form: expressions by table, `all` for those that have the columns.

    Raises:
        ConfigError: an unknown table, or no text.
    """
    if where is None:
        return {}
    given = {"all": where} if not isinstance(where, Mapping) else where
    found = {}
    for key, text in given.items():
        if key not in (*KINDS, "all"):
            raise ConfigError(describe(f"data.where.{key}: no such table", do=nearest(key, KINDS)))
        if text is None:
            continue
        if not isinstance(text, str):
            raise ConfigError(
                describe("data.where is no expression", expected='text, as quality == "good"', got=text)
            )
        found[key] = text
    return found

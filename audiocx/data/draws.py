"""Which sound of `data=mix` comes next: drawn by class and duration, not by file.

Speech: a corpus in proportion to the root of its seconds, within it a talker evenly, a piece by its seconds.
Noise: a class in proportion to the root of its seconds, a file within it by its seconds. Responses: a room in
proportion to the root of their number, a response within it evenly. The root lies between "every class
alike", which repeats small ones, and "every second alike", which forgets them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase

import numpy as np

from audiocx.data.sounds import Sound, Sounds
from audiocx.data.table import Row

TRIES = 8
"""Draws after which what is not wanted is counted out instead."""


class Weights:
    """Draws numbers in proportion to weights."""

    def __init__(self, weights: Sequence[float]) -> None:
        self.ends = np.cumsum(weights)

    def draw(self, random: np.random.Generator) -> int:
        """Draw one number."""
        place = int(np.searchsorted(self.ends, random.random() * self.ends[-1], side="right"))
        return min(place, len(self.ends) - 1)


class Group:
    """Sounds that are drawn by their seconds.

    Attributes:
        name: of the talker, class or room.
        members: numbers of the sounds.
        seconds: of all together.
    """

    def __init__(self, name: str, members: Sequence[int], seconds: Sequence[float]) -> None:
        self.name = name
        self.members = list(members)
        self.seconds = float(sum(seconds))
        self._weights = Weights(seconds)

    def draw(self, random: np.random.Generator) -> int:
        """Draw a member."""
        return self.members[self._weights.draw(random)]


class Speech:
    """Speech of one part: corpora of talkers of pieces.

    Pieces of one talker may follow one another to fill an example. Of a pool of unnamed people, only those of
    one recording may: two of its files are two people for all that is known.

    Args:
        sounds: the store.
        rows: of the part; silent ones are left out.
        pools: patterns of speakers' names that stand for several people.
    """

    def __init__(self, sounds: Sounds, rows: Sequence[Row], pools: Sequence[str]) -> None:
        self.sounds = sounds
        self.facts: dict[int, dict[str, str]] = {}
        talkers: dict[tuple[str, str], list[int]] = {}
        alike: dict[tuple[str, str, str], list[int]] = {}
        self._key: dict[int, tuple[str, str, str]] = {}
        for row in rows:
            number = sounds.numbers[str(row.path)]
            if sounds.sounds[number].active_power <= 0:
                continue
            corpus, speaker = row.facts["corpus"], row.facts["speaker"]
            is_pool = any(fnmatchcase(speaker, pattern) for pattern in pools)
            key = (corpus, speaker, row.facts["recording"] if is_pool else "")
            self.facts[number] = row.facts
            self._key[number] = key
            talkers.setdefault((corpus, speaker), []).append(number)
            alike.setdefault(key, []).append(number)
        self.talkers = {key: _group(sounds, key[1], members) for key, members in talkers.items()}
        self._alike = {key: _group(sounds, key[1], members) for key, members in alike.items()}
        self.corpora = {
            corpus: [talker for (name, _), talker in self.talkers.items() if name == corpus]
            for corpus in dict.fromkeys(name for name, _ in self.talkers)
        }
        self._corpora = list(self.corpora.values())
        self._weights = Weights([_root(groups) for groups in self._corpora])

    def draw(self, random: np.random.Generator) -> int:
        """Draw a piece."""
        talkers = self._corpora[self._weights.draw(random)]
        return talkers[int(random.integers(len(talkers)))].draw(random)

    def another(self, random: np.random.Generator, number: int) -> int:
        """Draw a piece of the same person, another one where there is one."""
        group = self._alike[self._key[number]]
        drawn = group.draw(random)
        if drawn == number and len(group.members) > 1:
            place = group.members.index(number)
            drawn = group.members[
                (place + 1 + int(random.integers(len(group.members) - 1))) % len(group.members)
            ]
        return drawn


class Noise:
    """Noise of one part: classes of files; silent ones are left out.

    Attributes:
        facts: of each file.
        nameless: files whose recording has no name but the file's, which a file of speech may have by chance.
        classes: groups of files by name.
    """

    def __init__(self, sounds: Sounds, rows: Sequence[Row]) -> None:
        self.sounds = sounds
        self.facts: dict[int, dict[str, str]] = {}
        classes: dict[str, list[int]] = {}
        for row in rows:
            number = sounds.numbers[str(row.path)]
            if sounds.sounds[number].active_power > 0:
                self.facts[number] = row.facts
                classes.setdefault(row.facts["class"], []).append(number)
        self.nameless = [
            number
            for number, facts in self.facts.items()
            if facts["recording"] == facts["path"].rsplit(".", 1)[0]
        ]
        self.classes = {name: _group(sounds, name, members) for name, members in classes.items()}
        self._groups = list(self.classes.values())
        self._weights = Weights([_root([group]) for group in self._groups])

    def draw(self, random: np.random.Generator, not_of: Collection[str] = ()) -> int | None:
        """Draw a file of none of some recordings; None where there is no other."""
        for _ in range(TRIES):
            number = self._groups[self._weights.draw(random)].draw(random)
            if self.facts[number]["recording"] not in not_of:
                return number
        return self._one_of(random, self.facts, not_of)

    def draw_of(self, random: np.random.Generator, name: str, not_of: Collection[str] = ()) -> int | None:
        """Draw a file of a class, and of none of some recordings: of any class where this one has no other."""
        group = self.classes[name]
        for _ in range(TRIES):
            number = group.draw(random)
            if self.facts[number]["recording"] not in not_of:
                return number
        other = self._one_of(random, group.members, not_of)
        return self.draw(random, not_of) if other is None else other

    def _one_of(
        self, random: np.random.Generator, numbers: Iterable[int], not_of: Collection[str]
    ) -> int | None:
        others = [number for number in numbers if self.facts[number]["recording"] not in not_of]
        return others[int(random.integers(len(others)))] if others else None


class Rooms:
    """Responses of one part: rooms of responses, each channel a response; silent ones are never drawn."""

    def __init__(self, sounds: Sounds, rows: Sequence[Row]) -> None:
        self.sounds = sounds
        self.facts: dict[int, dict[str, str]] = {}
        self.rooms: dict[str, list[int]] = {}
        for row in rows:
            number = sounds.numbers[str(row.path)]
            if sounds.sounds[number].active_power > 0:
                self.facts[number] = row.facts
                self.rooms.setdefault(row.facts["room"], []).append(number)
        self._rooms = list(self.rooms.values())
        self._weights = Weights([len(members) ** 0.5 for members in self._rooms])

    def draw(self, random: np.random.Generator) -> tuple[int, int]:
        """Draw a response and one of its channels."""
        members = self._rooms[self._weights.draw(random)]
        number = members[int(random.integers(len(members)))]
        return number, draw_channel(random, self.sounds.sounds[number])


def draw_channel(random: np.random.Generator, sound: Sound) -> int:
    """Draw a channel of a sound that is not silent, evenly among those in which something is heard."""
    live = sound.live_channels
    return live[int(random.integers(len(live)))]


def _group(sounds: Sounds, name: str, members: Sequence[int]) -> Group:
    return Group(name, members, [sounds.seconds(number) for number in members])


def _root(groups: Sequence[Group]) -> float:
    return float(sum(group.seconds for group in groups)) ** 0.5

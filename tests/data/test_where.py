from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocx.data.where import columns_of, row_filter
from audiocx.errors import ConfigError

COLUMNS = ("path", "quality", "seconds", "class", "speaker", "babble")
ROW = {
    "path": "a/b.ogg",
    "quality": "good",
    "seconds": "2.5",
    "class": "rain",
    "speaker": "ann",
    "babble": "0",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('quality == "good"', True),
        ("quality != 'good'", False),
        ("seconds > 2", True),
        ("2 < seconds <= 2.5", True),
        ("2 < seconds < 2.5", False),
        ("10 < seconds", False),  # as text it would come first
        ("seconds == 2.50", True),  # as numbers, not as text
        ("seconds > -1 and seconds < +3", True),
        ('class in ("rain", "wind")', True),  # a column that is a keyword of Python
        ('class not in ["wind"]', True),
        ('"an" in speaker', True),
        ("babble", False),
        ("not babble", True),
        ('not (quality == "good" or seconds > 100)', False),
        ('quality == "bad" or seconds > 2 and class == "rain"', True),
        ("quality < 3", False),  # text beside a number is no number,
        ("quality >= 3", False),  # neither smaller nor larger,
        ("quality != 3", True),  # and differs from all
        ("quality == quality", True),
        ("seconds in (1, 2.5)", True),
        ('Quality == "good" and Class == "rain"', True),  # tables know these names in small letters
    ],
)
def test_expressions_mean_what_they_say(text: str, expected: bool) -> None:
    assert row_filter(text, COLUMNS)(ROW) is expected


@pytest.mark.parametrize(
    "text",
    [
        "", "quality ==", "seconds + 1 > 2", "__import__('os')", "quality.upper() == 'GOOD'", "speaker[0] == 'a'",
        "lambda: 1", "quality is 'good'", "[x for x in path]", "quality == f'{path}'", "'rain' in 'rainy'", "1",
        "quality = 'good'", "not", "quality == None", "quality == True", "-'a' == quality", "(", "'", "\x00",
        "seconds > 1; path", "yield", "await path", "speaker == b'ann'", "(quality := 'good')",
        "not " * 5000 + "babble",
    ],
)  # fmt: skip
def test_everything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.where") as caught:
        row_filter(text, COLUMNS)
    assert "\n" not in str(caught.value)


def test_a_mistyped_column_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"data\.where\.noise: no column `secs`; did you mean `seconds`"):
        row_filter("secs > 2", ["second", "seconds"], "data.where.noise")
    assert columns_of('class == "rain" and not babble') == {"class", "babble"}


simple = st.one_of(
    st.builds(
        "seconds {} {}".format, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(-3, 3)
    ),
    st.sampled_from(['quality == "good"', 'class in ("rain",)', "babble"]),
)
rows = st.fixed_dictionaries(
    {"quality": st.sampled_from(["good", "fair", ""]), "seconds": st.sampled_from(["-2", "0", "2.0", "x", ""]),
     "class": st.sampled_from(["rain", "wind"]), "babble": st.sampled_from(["0", "1"])}
)  # fmt: skip


@given(one=simple, other=simple, row=rows)
@settings(max_examples=60, deadline=None)
def test_and_or_not_follow_logic(one: str, other: str, row: dict[str, str]) -> None:
    def holds(text: str) -> bool:
        return row_filter(text, COLUMNS)(row)

    assert holds(f"{one} and {other}") == (holds(one) and holds(other))
    assert holds(f"not ({one} and {other})") == holds(f"not {one} or not {other}")
    assert holds(f"not not ({one})") == holds(one)


@given(text=st.text(st.sampled_from("quality seconds<>=!()'\"andornti10.,[]:"), max_size=30))
@settings(max_examples=80, deadline=None)
def test_any_text_is_a_condition_or_a_one_line_error(text: str) -> None:
    message = ""
    try:
        condition = row_filter(text, COLUMNS)
    except ConfigError as error:
        message = str(error)
    else:
        assert condition(ROW) in (True, False)
    assert "\n" not in message

"""What pages of docs/ show is what comes out."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("page", ["wirtinger.md"])
def test_every_example_of_a_page_gives_what_it_says(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    # The end of a block would be read as the end of its last output.
    text = re.sub(r"^```.*$", "", text, flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    assert len(examples.examples) > 50
    report: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=report.append)
    assert not results.failed, "".join(report)

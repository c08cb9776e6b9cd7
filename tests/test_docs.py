"""What pages of docs/ show is what comes out, and what a script wrote there is what it would write now."""

from __future__ import annotations

import doctest
import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(("page", "at_least"), [("wirtinger.md", 100), ("layers.md", 10)])
def test_every_example_of_a_page_gives_what_it_says(page, at_least):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    # The end of a block would be read as the end of its last output.
    text = re.sub(r"^```.*$", "", text, flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    assert len(examples.examples) >= at_least
    report: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=report.append)
    assert not results.failed, "".join(report)


@pytest.fixture(scope="module")
def layer_pages():
    specification = importlib.util.spec_from_file_location("layer_pages", ROOT / "studies" / "layer_pages.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # where its dataclasses look for their names
    specification.loader.exec_module(module)
    yield module
    del sys.modules[specification.name]


def test_the_page_of_layers_is_what_layers_say_of_themselves(layer_pages):
    _, mark, written = layer_pages.PAGE.read_text(encoding="utf-8").partition(layer_pages.MARK)
    assert mark
    now = layer_pages.generated()
    assert written.strip() == now.strip(), (
        "docs/layers.md is old: python studies/layer_pages.py writes it anew"
    )


def test_pictures_of_activations_are_of_what_layers_do(layer_pages):
    """Every picture remembers some of the values that it was drawn from."""
    drawn = layer_pages.activations()
    assert len(drawn) >= 10
    for name, module in drawn.items():
        picture = layer_pages.IMAGES / name
        np.testing.assert_allclose(
            layer_pages.remembered(picture), layer_pages.probed(module), atol=1e-5, err_msg=name
        )
        assert picture.stat().st_size < 200_000
    committed = {path.name for path in layer_pages.IMAGES.glob("activations*")}
    assert committed == set(drawn)
    assert sum((layer_pages.IMAGES / name).stat().st_size for name in committed) < 1 << 20

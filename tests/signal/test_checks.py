from __future__ import annotations

import pytest
import torch

from audiocx.errors import ShapeError
from audiocx.signal.checks import check_complex, check_shape


def test_names_axes_and_sizes():
    check_shape(torch.zeros(4, 1, 257, 5), "batch channel frequency frame", name="mixture", frequency=257)
    check_shape(torch.zeros(4, 1, 7), "*batch sample", name="x", sample=7)
    with pytest.raises(ShapeError, match=r"`mixture` has 3 axes; expected \(batch, channel"):
        check_shape(torch.zeros(4, 257, 5), "batch channel frequency frame", name="mixture")
    with pytest.raises(ShapeError, match="frequency=129"):
        check_shape(torch.zeros(4, 1, 129, 5), "batch channel frequency frame", name="m", frequency=257)


def test_complex():
    check_complex(torch.zeros(2, dtype=torch.complex64), name="x")
    with pytest.raises(ShapeError, match="`x` is real"):
        check_complex(torch.zeros(2), name="x")

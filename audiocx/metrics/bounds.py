"""What scores without bounds count in a mean."""

from __future__ import annotations

import math

PERFECT_DB = 100.0
"""What a perfect estimate counts in a mean; its score itself is `+inf`."""

FAILED_DB = -60.0
"""What an estimate with a score of `-inf` (silence in place of a target) counts in a mean."""


def bounded_value(value: float) -> float:
    """Bound a score to -60 and 100, which is how silence and a perfect estimate count in means; NaN stays.

    Example:
        >>> bounded_value(math.inf), bounded_value(-70.0), bounded_value(3.5)
        (100.0, -60.0, 3.5)
    """
    return value if math.isnan(value) else min(max(value, FAILED_DB), PERFECT_DB)

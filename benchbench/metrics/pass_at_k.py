"""How likely it is that one of k programs is right, from n of which some are (arXiv 2107.03374)."""

from collections.abc import Sequence
from math import comb


def pass_at_k(n: int, passed: int, k: int) -> float:
    """Return the chance that k of n programs, drawn without replacement, hold one that passed.

    Unbiased (section 2.1), while 1 - (1 - passed / n)^k is not.
    """
    if not 1 <= k <= n or not 0 <= passed <= n:
        raise ValueError(f"pass@{k} of {n} programs, {passed} of which passed, is not defined")
    return 1 - comb(n - passed, k) / comb(n, k)


def pass_rates(passed: Sequence[bool]) -> dict[str, float]:
    """Return pass@1, and pass@10 where there are as many programs."""
    n = len(passed)
    return {f"pass@{k}": pass_at_k(n, sum(passed), k) for k in (1, 10) if k <= n}

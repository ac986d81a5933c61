"""Metrics: thin over the field's libraries, all in [0, 1], all the best over the references."""

from benchbench.metrics.match import exact_match, same_text
from benchbench.metrics.pass_at_k import pass_at_k, pass_rates
from benchbench.metrics.rouge import rouge_l
from benchbench.metrics.squad import squad_f1, squad_match

__all__ = [
    "exact_match",
    "pass_at_k",
    "pass_rates",
    "rouge_l",
    "same_text",
    "squad_f1",
    "squad_match",
]

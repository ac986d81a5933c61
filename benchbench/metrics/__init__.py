"""Metrics: thin over the field's libraries, all in [0, 1], all the best over the references."""

from benchbench.metrics.match import exact_match
from benchbench.metrics.rouge import rouge_l

__all__ = ["exact_match", "rouge_l"]

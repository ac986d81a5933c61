"""Metrics: thin over the field's libraries, all in [0, 1], all the best over the references."""

from benchbench.metrics.match import exact_match as exact_match
from benchbench.metrics.match import same_text as same_text
from benchbench.metrics.pass_at_k import pass_at_k as pass_at_k
from benchbench.metrics.pass_at_k import pass_rates as pass_rates
from benchbench.metrics.rouge import rouge_l as rouge_l
from benchbench.metrics.squad import squad_f1 as squad_f1
from benchbench.metrics.squad import squad_match as squad_match

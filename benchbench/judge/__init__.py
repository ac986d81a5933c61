"""A judge compares answers of a run with a reference's: which is better?

Each comparison is asked in both orders, because judges favour a place (arXiv 2306.05685, section
3.3). The answer is one token, A or B, and counts by its probability, not as a vote: the preference
for what is shown first is p(A) / (p(A) + p(B)), as in AlpacaEval 2 (arXiv 2404.04475), and a
comparison's preference is the mean over its orders.

What is not as it should be is never dropped:

- a judge that names neither label among its likeliest tokens gave *no verdict*. That order counts
  as a tie, 0.5, and is counted in ``no_verdict``; a result may be published up to a small share.
- a question without an answer (the network, a refusal) leaves the comparison *missing*: it has no
  scores, keeps its result from being published, and is asked again by the next run.
"""

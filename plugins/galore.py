"""GaLore: full finetuning whose optimizer sees gradients of low rank (arXiv 2403.03507)."""

from dataclasses import dataclass

from benchbench import Method, hookimpl

from .projected import ProjectedMethod


@dataclass(frozen=True, kw_only=True)
class Galore(ProjectedMethod):
    """Train every weight; the optimizer's states of linear layers live in ``rank`` dimensions.

    The dimensions are those of a singular value decomposition of the gradients. Rank, scale and
    learning rate are the paper's for GLUE (appendix D.1, which has up to 3e-5 too), steps between
    projections the default of the authors' package. Embeddings, head and normalisation are trained
    by plain AdamW.
    """

    name = "galore"
    source = "https://arxiv.org/abs/2403.03507"
    package = "galore_torch"
    kind = "GaLoreAdamW"

    scale: float = 2.0
    """What comes back from the projection is multiplied by it; above 0."""


@hookimpl
def register_methods() -> list[type[Method]]:
    return [Galore]

"""Muon, the optimizer of nano's matrices: momentum whose update is made orthogonal.

Learns from fewer tokens than AdamW, which is what counts when a pretraining run has an hour and
two cores. Method: https://kellerjordan.github.io/posts/muon/; the scale of the update, which lets
AdamW's learning rate be shared, is that of https://arxiv.org/abs/2502.16982. `torch.optim.Muon`
does the same in bf16, which is slow on a CPU without bf16 instructions; this one stays in fp32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

MOMENTUM = 0.95
WEIGHT_DECAY = 0.1
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration that drives all singular values towards one."""


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Replace the singular values of a matrix by values near one, in five iterations."""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


class Muon:
    """Steps matrices by their orthogonalised Nesterov momentum, with decoupled weight decay.

    ``shares`` are parts of the learning rate, one for each matrix.
    """

    def __init__(self, matrices: list[torch.nn.Parameter], shares: list[float]) -> None:
        import torch

        self.matrices = matrices
        self.shares = shares
        self.momenta = [torch.zeros_like(matrix) for matrix in matrices]

    def step(self, learning_rate: float) -> None:
        """Update every matrix from its gradient."""
        import torch

        with torch.no_grad():
            each = zip(self.matrices, self.momenta, self.shares, strict=True)
            for matrix, momentum, share in each:
                assert matrix.grad is not None
                momentum.lerp_(matrix.grad, 1 - MOMENTUM)
                update = orthogonal(matrix.grad.lerp(momentum, MOMENTUM))
                scale = 0.2 * float(max(matrix.shape)) ** 0.5
                matrix.mul_(1 - learning_rate * WEIGHT_DECAY)
                matrix.add_(update, alpha=-learning_rate * share * scale)

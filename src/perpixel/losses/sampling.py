"""Patch sampling as sampling of the loss: a random part of the target counts, the rest is ignored.

    target   A A B B        kept in cells of 2 x 2     A A . .
             A A B B   ->   with probability p    ->   A A . .
             A B B B                                   . . B B
             A B B B                                   . . B B

Training on random patches is whole-image training with some terms of the loss left out: a patch is the
receptive field of one cell of the scores. FCN kept p = 1, 0.5 and 0.25, with batches 1/p as large, and saw the
same convergence an iteration, and slower convergence on the clock.

Source: Long et al., CVPR 2015 / Shelhamer et al., TPAMI 2017, Sec. 3.4 and 4.4 (CVPR: 4.3).
Letters: N images, H W pixels.
"""

import torch
from jaxtyping import Int64
from torch import Tensor


def sample_target(
    target: Int64[Tensor, "N H W"], keep: float, cell: int = 1, ignore_index: int = 255
) -> Int64[Tensor, "N H W"]:
    """Return the target with each cell kept with probability `keep`, and ignored otherwise.

    Args:
        target: Ids, or `ignore_index`.
        keep: Probability in (0, 1]; at 1 the target itself is returned.
        cell: Side of the squares that are kept or dropped together; the output stride of a network whose
            scores the paper samples.
        ignore_index: The id that no loss counts.

    Draws from PyTorch's generator of the target's device.

    Raises:
        ValueError: The probability or the cell is out of range.
    """
    if not 0 < keep <= 1 or cell < 1:
        raise ValueError(
            f"sample_target: expected 0 < keep <= 1 and cell >= 1, got {keep} and {cell}. keep=0.5 drops half."
        )
    if keep == 1:
        return target
    images, height, width = target.shape
    drawn = torch.rand(images, -(-height // cell), -(-width // cell), device=target.device) < keep
    kept = drawn.repeat_interleave(cell, 1).repeat_interleave(cell, 2)[:, :height, :width]
    return torch.where(kept, target, ignore_index)

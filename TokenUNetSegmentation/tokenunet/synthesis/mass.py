"""Mass effect: displacement of the brain by a growing lesion or widening ventricles."""

import torch
from torch import Tensor

from tokenunet.synthesis.fields import blurred


def expansion_displacement(growth: Tensor, brain: Tensor, spacing: float) -> Tensor:
    """Compute the displacement whose divergence is a given growth, decreasing toward the skull.

    Tissue is nearly incompressible, so that added volume displaces it outwards. The displacement is the gradient of the
    potential that solves Poisson's equation for the growth, like the electric field of charges. It is scaled down near
    the brain's surface, as the skull is rigid.

    Args:
        growth: Added volume per volume, (D, H, W).
        brain: Brain mask, boolean (D, H, W).
        spacing: Isotropic voxel size, in mm.

    Returns:
        Displacement (3, D, H, W) in mm along (z, y, x).
    """
    shape = growth.shape
    # Padding to twice the size keeps the periodic copies of the Fourier transform far away.
    padded = [2 * n for n in shape]
    frequencies = torch.meshgrid(
        torch.fft.fftfreq(padded[0]), torch.fft.fftfreq(padded[1]), torch.fft.rfftfreq(padded[2]), indexing="ij"
    )
    k = torch.stack(frequencies) * (2 * torch.pi / spacing)
    squared = k.square().sum(0)
    squared[0, 0, 0] = torch.inf
    spectrum = torch.fft.rfftn(growth, s=padded)
    parts = [torch.fft.irfftn(-1j * axis / squared * spectrum, s=padded) for axis in k]
    u = torch.stack(parts)[:, : shape[0], : shape[1], : shape[2]]
    # From 0 at the surface to nearly 1 from 12 mm inwards.
    firmness = (2 * blurred(brain.float(), 8 / spacing) - 1).clamp(0, 1).sqrt()
    return u * firmness

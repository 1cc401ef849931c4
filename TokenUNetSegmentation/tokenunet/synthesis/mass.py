"""Mass effect: how a growing lesion, or widening ventricles, push the brain aside."""

import torch
from torch import Tensor

from tokenunet.synthesis.fields import blurred


def expansion_displacement(growth: Tensor, brain: Tensor, spacing: float) -> Tensor:
    """The displacement whose divergence is the given growth, fading toward the skull.

    Tissue is nearly incompressible, so what is added inside must flow outwards: u is the gradient of the potential that
    solves Poisson's equation for the growth, as for the field around charges. The skull does not give way, so the
    displacement is scaled down near the brain's surface.

    Args:
        growth: (D, H, W) added volume per volume.
        brain: (D, H, W) boolean.
        spacing: of the lattice in mm.

    Returns:
        (3, D, H, W) displacement in mm along (z, y, x).
    """
    shape = growth.shape
    # Twice the size, so that the periodic images of a Fourier transform stay far away.
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

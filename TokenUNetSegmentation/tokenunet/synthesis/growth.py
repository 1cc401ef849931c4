"""How a drawn tumour fills its anatomy: core, infiltration along white matter, enhancement, labels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenunet.core.regions import ED, ET_LABEL, NCR
from tokenunet.synthesis.anatomy import Anatomy, Lattice
from tokenunet.synthesis.fields import resized, seeded
from tokenunet.synthesis.tumor import Kind, Tumour


@dataclass
class Growth:
    """A tumour's fields on a lattice, each (D, H, W).

    Attributes:
        concentration: of infiltrating cells and oedema fluid, 0 to 1.
        oedema_threshold: concentration above which a voxel belongs to the whole tumour.
        labels: of the voxels' centres, uint8, 0, NCR = 1, ED = 2, ET = 4.
        core_share: how much of each voxel is core, 0 to 1.
        enhancing_share: how much of each voxel is enhancing core.
    """

    concentration: Tensor
    oedema_threshold: float
    labels: Tensor
    core_share: Tensor
    enhancing_share: Tensor


WORK_SPACING = 2.0
FAR_MM = -60.0
"""Depth given to what lies far outside every core."""


def core_depth(tumour: Tumour, ventricles: Tensor | None = None) -> Tensor:
    """Depth in mm inside the core on the lattice of `WORK_SPACING`, negative outside, (D, H, W).

    Args:
        tumour: whose core.
        ventricles: (D, H, W), which a core fills only reluctantly.
    """
    lattice = Lattice(WORK_SPACING)
    depth = torch.full(lattice.shape, FAR_MM)
    if tumour.kind is Kind.INFILTRATIVE:
        return depth
    generator = seeded(tumour.seed)
    positions = lattice.positions()
    for focus in tumour.foci:
        radius = focus.radius_mm
        lobes = lattice.noise(max(radius * 0.8, 3.0), generator)[0]
        rough = lattice.noise(max(radius * 0.3, 2.5), generator)[0]
        level = 1 - focus.distance(positions) - tumour.irregularity * (0.8 * lobes + 0.35 * rough).clamp(-2, 2)
        depth = torch.maximum(depth, level * radius)
    if ventricles is not None:
        depth = depth - 6.0 * ventricles
    return depth


def infiltrate(tumour: Tumour, anatomy: Anatomy, depth_mm: Tensor) -> Tensor:
    """Concentration of infiltration and oedema around the core on the lattice of `WORK_SPACING`.

    The Fisher-Kolmogorov equation, with fast diffusion in white matter, slow in grey and none in fluid: that is why
    oedema has fingers between the gyri and spares the cortex.
    """
    generator = seeded(tumour.seed + 1)
    noise = anatomy.lattice.noise(10, generator)[0]
    mobility = (anatomy.white + 0.03 * anatomy.grey) * (0.35 * noise).exp()
    mobility = mobility * anatomy.brain * (1 - anatomy.ventricles).clamp(0, 1)
    tissue = (anatomy.brain & (anatomy.fluid < 0.6)).float()
    concentration = torch.sigmoid(depth_mm / 1.5)
    if tumour.kind is Kind.INFILTRATIVE:
        for focus in tumour.foci:
            seed = focus.distance(anatomy.lattice.positions()) * focus.radius_mm < 8.0
            concentration = torch.maximum(concentration, seed.float())
    # The explicit scheme is stable while mobility * step < 1/6. A front then moves 2 sqrt(step^2 * rate) voxels a step.
    step, growth_rate = 1 / 7, 1.5
    mobility = mobility.clamp(max=1.1)
    steps = round(tumour.spread_mm / WORK_SPACING / (2 * step * growth_rate**0.5))
    for _ in range(steps):
        change = torch.zeros_like(concentration)
        for axis in range(3):
            n = concentration.shape[axis] - 1
            low, high = concentration.narrow(axis, 0, n), concentration.narrow(axis, 1, n)
            flux = (high - low) * torch.minimum(mobility.narrow(axis, 0, n), mobility.narrow(axis, 1, n))
            change.narrow(axis, 0, n).add_(flux)
            change.narrow(axis, 1, n).sub_(flux)
        concentration = concentration + step * change + step * growth_rate * concentration * (1 - concentration)
    rough = anatomy.lattice.noise(6, generator)[0]
    willing = 1 - tumour.cortex_sparing * anatomy.grey
    return (concentration * (0.15 * rough).exp() * willing * tissue).clamp(0, 1)


def grow(tumour: Tumour, anatomy: Anatomy, work: Anatomy) -> Growth:
    """The tumour in its anatomy.

    Args:
        tumour: what to grow.
        anatomy: where the labels are wanted; tissues already displaced.
        work: the same anatomy on the lattice of `WORK_SPACING`.
    """
    shape = anatomy.lattice.shape
    if tumour.kind is Kind.HEALTHY:
        nothing = torch.zeros(shape)
        return Growth(nothing, 1.0, nothing.to(torch.uint8), nothing, nothing)
    depth = core_depth(tumour, work.ventricles)
    concentration = infiltrate(tumour, work, depth)

    outside = concentration[depth < 0]
    wanted = max(10, round(tumour.oedema_ml * 1000 / WORK_SPACING**3))
    wanted = min(wanted, outside.numel() - 1)
    threshold = max(float(outside.topk(wanted).values[-1]), 0.06)

    depth, concentration = (resized(x[None], shape)[0] for x in (depth, concentration))
    generator = seeded(tumour.seed + 2)
    depth = depth + 0.5 * anatomy.lattice.noise(3, generator)[0]
    tissue = anatomy.brain & (anatomy.fluid < 0.6)
    core = anatomy.brain & (depth > 0)
    whole = core | (tissue & (concentration > threshold))
    enhancing_depth = _enhancing_depth(tumour, depth, anatomy.lattice, generator)
    labels = torch.zeros(shape, dtype=torch.uint8)
    labels[whole] = ED
    labels[core] = NCR
    labels[core & (enhancing_depth > 0)] = ET_LABEL
    core_share, inside = (_share(d, anatomy.lattice.spacing) * anatomy.brain for d in (depth, enhancing_depth))
    # What of a voxel is on the core's side of one border and on the rim's side of the other.
    enhancing_share = (core_share + inside - 1).clamp(min=0)
    return Growth(concentration * anatomy.brain, threshold, labels, core_share, enhancing_share)


def _share(depth_mm: Tensor, spacing: float) -> Tensor:
    """How much of each voxel is on the inner side of a flat border, 0 to 1; thin rims are fainter in coarse voxels."""
    return (depth_mm / spacing + 0.5).clamp(0, 1)


def _enhancing_depth(tumour: Tumour, depth_mm: Tensor, lattice: Lattice, generator: torch.Generator) -> Tensor:
    """Depth in mm inside what enhances if it is core, negative outside, (D, H, W); far from any border -`FAR_MM`."""
    patches, pockets, waves = lattice.noise(10, generator, fields=3)
    # Thresholds from -2.2 to 0 on a normal distribution: from next to nothing to half of the rim is missing.
    present = patches > -2.2 + 2.7 * tumour.patchiness
    if tumour.kind is Kind.RING:
        thickness = tumour.rim_mm * (0.45 * waves).exp()
        return torch.where(present, thickness - depth_mm, FAR_MM)
    enhances = torch.zeros_like(present)
    if tumour.kind is Kind.SOLID:
        enhances = (pockets < 1.2) & (patches > -2.2 + 1.2 * tumour.patchiness)
    if tumour.kind is Kind.NODULAR:
        size = max(max(f.radii_mm) for f in tumour.foci)
        nodules = lattice.noise(max(6.0, size * 2 / 3), generator)[0]
        inside = nodules[depth_mm > 0]
        if inside.numel() > 0:
            enhances = nodules > torch.quantile(inside[:200_000], 1 - tumour.enhancing_share)
    return torch.where(enhances, -FAR_MM, FAR_MM)

"""Tumor growth in an anatomy: core, infiltration along white matter, enhancement, labels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenunet.core.regions import ED, ET_LABEL, NCR
from tokenunet.synthesis.anatomy import Anatomy, Lattice
from tokenunet.synthesis.fields import resized, seeded
from tokenunet.synthesis.tumor import Kind, Tumor


@dataclass
class Growth:
    """Maps of a tumor on a lattice, each (D, H, W).

    Attributes:
        concentration: Concentration of infiltrating cells and edema fluid, 0 to 1.
        edema_threshold: Concentration above which a voxel belongs to the whole tumor.
        labels: Labels at the voxels' centers, uint8: 0, NCR = 1, ED = 2, ET = 4.
        core_share: Share of tumor core in each voxel, 0 to 1.
        enhancing_share: Share of enhancing tumor in each voxel, 0 to 1.
    """

    concentration: Tensor
    edema_threshold: float
    labels: Tensor
    core_share: Tensor
    enhancing_share: Tensor


WORK_SPACING = 2.0
"""Spacing at which a tumor grows whatever that of the images, in mm."""
FAR_MM = -60.0
"""Depth in mm that stands for far outside every core."""


def core_depth(tumor: Tumor, ventricles: Tensor | None = None) -> Tensor:
    """Compute the depth inside the tumor core on the lattice of `WORK_SPACING`.

    Args:
        tumor: Parameters of the tumor.
        ventricles: Share of the ventricles, (D, H, W), into which a core extends less; None ignores them.

    Returns:
        Depth in mm, (D, H, W), negative outside.
    """
    lattice = Lattice(WORK_SPACING)
    depth = torch.full(lattice.shape, FAR_MM)
    if tumor.kind is Kind.INFILTRATIVE:
        return depth
    generator = seeded(tumor.seed)
    positions = lattice.positions()
    for focus in tumor.foci:
        radius = focus.radius_mm
        lobes = lattice.noise(max(radius * 0.8, 3.0), generator)[0]
        rough = lattice.noise(max(radius * 0.3, 2.5), generator)[0]
        level = 1 - focus.distance(positions) - tumor.irregularity * (0.8 * lobes + 0.35 * rough).clamp(-2, 2)
        depth = torch.maximum(depth, level * radius)
    if ventricles is not None:
        depth = depth - 6.0 * ventricles
    return depth


def infiltrate(tumor: Tumor, anatomy: Anatomy, depth_mm: Tensor) -> Tensor:
    """Simulate infiltration and edema around the core on the lattice of `WORK_SPACING`.

    It solves the Fisher-Kolmogorov equation with fast diffusion in white matter, slow in gray and none in fluid, which
    gives edema its fingers between the gyri and spares the cortex.

    Args:
        tumor: Parameters of the tumor.
        anatomy: Anatomy at `WORK_SPACING`.
        depth_mm: Depth inside the core from `core_depth`, (D, H, W).

    Returns:
        Concentration (D, H, W), 0 to 1.
    """
    generator = seeded(tumor.seed + 1)
    noise = anatomy.lattice.noise(10, generator)[0]
    mobility = (anatomy.white + 0.03 * anatomy.gray) * (0.35 * noise).exp()
    mobility = mobility * anatomy.brain * (1 - anatomy.ventricles).clamp(0, 1)
    tissue = (anatomy.brain & (anatomy.fluid < 0.6)).float()
    concentration = torch.sigmoid(depth_mm / 1.5)
    if tumor.kind is Kind.INFILTRATIVE:
        for focus in tumor.foci:
            seed = focus.distance(anatomy.lattice.positions()) * focus.radius_mm < 8.0
            concentration = torch.maximum(concentration, seed.float())
    # The explicit scheme is stable while mobility * step < 1/6; a front moves 2 sqrt(step^2 * rate) voxels per step.
    step, growth_rate = 1 / 7, 1.5
    mobility = mobility.clamp(max=1.1)
    steps = round(tumor.spread_mm / WORK_SPACING / (2 * step * growth_rate**0.5))
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
    willing = 1 - tumor.cortex_sparing * anatomy.gray
    return (concentration * (0.15 * rough).exp() * willing * tissue).clamp(0, 1)


def grow(tumor: Tumor, anatomy: Anatomy, work: Anatomy) -> Growth:
    """Grow a tumor in an anatomy.

    Args:
        tumor: Parameters of the tumor.
        anatomy: Anatomy on the lattice of the labels, displaced by the mass already.
        work: Anatomy of the same patient at `WORK_SPACING`.
    """
    shape = anatomy.lattice.shape
    if tumor.kind is Kind.HEALTHY:
        nothing = torch.zeros(shape)
        return Growth(nothing, 1.0, nothing.to(torch.uint8), nothing, nothing)
    depth = core_depth(tumor, work.ventricles)
    concentration = infiltrate(tumor, work, depth)

    outside = concentration[depth < 0]
    wanted = max(10, round(tumor.edema_ml * 1000 / WORK_SPACING**3))
    wanted = min(wanted, outside.numel() - 1)
    threshold = max(float(outside.topk(wanted).values[-1]), 0.06)

    depth, concentration = (resized(x[None], shape)[0] for x in (depth, concentration))
    generator = seeded(tumor.seed + 2)
    depth = depth + 0.5 * anatomy.lattice.noise(3, generator)[0]
    tissue = anatomy.brain & (anatomy.fluid < 0.6)
    core = anatomy.brain & (depth > 0)
    whole = core | (tissue & (concentration > threshold))
    enhancing_depth = _enhancing_depth(tumor, depth, anatomy.lattice, generator)
    labels = torch.zeros(shape, dtype=torch.uint8)
    labels[whole] = ED
    labels[core] = NCR
    labels[core & (enhancing_depth > 0)] = ET_LABEL
    core_share, inside = (_share(d, anatomy.lattice.spacing) * anatomy.brain for d in (depth, enhancing_depth))
    # The part of a voxel that is inside both borders, if they are parallel.
    enhancing_share = (core_share + inside - 1).clamp(min=0)
    return Growth(concentration * anatomy.brain, threshold, labels, core_share, enhancing_share)


def _share(depth_mm: Tensor, spacing: float) -> Tensor:
    """Return the share of each voxel inside a flat border, 0 to 1: thin rims are fainter in coarse voxels."""
    return (depth_mm / spacing + 0.5).clamp(0, 1)


def _enhancing_depth(tumor: Tumor, depth_mm: Tensor, lattice: Lattice, generator: torch.Generator) -> Tensor:
    """Return the depth in mm inside the part of the core that enhances, (D, H, W), -`FAR_MM` far inside of it."""
    patches, pockets, waves = lattice.noise(10, generator, fields=3)
    # Thresholds from -2.2 to about 0 on a normal distribution: from almost none to half of the rim is missing.
    present = patches > -2.2 + 2.7 * tumor.patchiness
    if tumor.kind is Kind.RING:
        thickness = tumor.rim_mm * (0.45 * waves).exp()
        return torch.where(present, thickness - depth_mm, FAR_MM)
    enhances = torch.zeros_like(present)
    if tumor.kind is Kind.SOLID:
        enhances = (pockets < 1.2) & (patches > -2.2 + 1.2 * tumor.patchiness)
    if tumor.kind is Kind.NODULAR:
        size = max(max(f.radii_mm) for f in tumor.foci)
        nodules = lattice.noise(max(6.0, size * 2 / 3), generator)[0]
        inside = nodules[depth_mm > 0]
        if inside.numel() > 0:
            enhances = nodules > torch.quantile(inside[:200_000], 1 - tumor.enhancing_share)
    return torch.where(enhances, -FAR_MM, FAR_MM)

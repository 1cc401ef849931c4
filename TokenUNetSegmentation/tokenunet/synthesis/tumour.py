"""Gliomas: where they sit, what they are made of, how they spread."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from tokenunet.regions import ED, ET_LABEL, NCR
from tokenunet.synthesis.anatomy import Anatomy, Lattice
from tokenunet.synthesis.fields import chance, fresh_seed, resized, seeded, smooth_noise, uniform


class Kind(StrEnum):
    """What the core of the tumour is made of."""

    RING = "ring"
    """An enhancing rim around necrosis, as in most glioblastomas."""
    SOLID = "solid"
    """Enhancing almost throughout."""
    NODULAR = "nodular"
    """A non-enhancing mass with enhancing parts."""
    NON_ENHANCING = "non_enhancing"
    """A core without enhancement, as in most low-grade gliomas."""
    INFILTRATIVE = "infiltrative"
    """Oedema or infiltration alone."""
    HEALTHY = "healthy"
    """No tumour."""


KIND_SHARES = {
    Kind.RING: 0.42,
    Kind.SOLID: 0.13,
    Kind.NODULAR: 0.18,
    Kind.NON_ENHANCING: 0.16,
    Kind.INFILTRATIVE: 0.05,
    Kind.HEALTHY: 0.06,
}


@dataclass(frozen=True)
class Focus:
    """One lesion's core: an ellipsoid that noise makes irregular.

    Attributes:
        centre_mm: (z, y, x) in the field of view.
        radii_mm: half axes along (z, y, x).
    """

    centre_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Tumour:
    """Everything that decides the shape of one patient's tumour.

    Attributes:
        kind: what the core is made of.
        foci: one lesion, or more.
        irregularity: amplitude of the noise on the core's boundary, relative to its radius.
        rim_mm: thickness of the enhancing rim.
        patchiness: how much of the enhancement is missing in patches, 0 to 1.
        enhancing_share: of the core, for nodular tumours.
        oedema_ml: volume of oedema aimed at; anatomy may leave less room.
        spread_mm: how far infiltration reaches along white matter.
        pressure: volume the mass pushes aside, as a fraction of its own.
        seed: of the random fields.
    """

    kind: Kind
    foci: tuple[Focus, ...]
    irregularity: float
    rim_mm: float
    patchiness: float
    enhancing_share: float
    oedema_ml: float
    spread_mm: float
    pressure: float
    seed: int


def draw_tumour(generator: torch.Generator, anatomy: Anatomy, variety: float = 1.0, kind: Kind | None = None) -> Tumour:
    """A random tumour for that anatomy.

    Args:
        generator: source of randomness.
        anatomy: decides where a tumour may sit; a coarse one will do.
        variety: above 1 widens the ranges.
        kind: draws only tumours of this kind; any when left out.
    """
    shares = torch.tensor(list(KIND_SHARES.values()))
    drawn = list(KIND_SHARES)[int(torch.multinomial(shares, 1, generator=generator))]
    kind = kind or drawn
    lesions = 0 if kind is Kind.HEALTHY else 1 + chance(generator, 0.12) + chance(generator, 0.04)
    # Cores of 0.5 to 100 ml: nearly evenly spread over the logarithm of the radius, a little more towards the large.
    radius = 5.0 * (29 / 5.0) ** (uniform(generator, 0.0, 1.0) ** 0.75)
    foci: list[Focus] = []
    for i in range(lesions):
        r = radius if i == 0 else radius * uniform(generator, 0.3, 0.8)
        z, y, x = (max(3.0, r * uniform(generator, 1 - 0.3 * variety, 1 + 0.3 * variety)) for _ in range(3))
        near = foci[0].centre_mm if foci and chance(generator, 0.6) else None
        foci.append(Focus(_draw_centre(generator, anatomy, near, radius), (z, y, x)))
    core_ml = 4.19e-3 * radius**3
    return Tumour(
        kind=kind,
        foci=tuple(foci),
        irregularity=uniform(generator, 0.12, 0.4) * variety,
        rim_mm=uniform(generator, 1.5, 6.0),
        patchiness=uniform(generator, 0.2, 0.8) if chance(generator, 0.4) else uniform(generator, 0.0, 0.2),
        enhancing_share=uniform(generator, 0.05, 0.6),
        # Low-grade cores may have next to none; small high-grade ones often have a lot.
        oedema_ml=uniform(generator, 1.0, 12.0)
        + core_ml * uniform(generator, 0.0, 2.0)
        + 80 * uniform(generator, 0, 1) ** 3,
        spread_mm=uniform(generator, 6, 30),
        pressure=uniform(generator, 0.1, 0.8),
        seed=fresh_seed(generator),
    )


def _draw_centre(
    generator: torch.Generator, anatomy: Anatomy, near: tuple[float, float, float] | None, radius_mm: float
) -> tuple[float, float, float]:
    """A random place in the brain, mostly white matter; within a few radii of ``near`` where that is given."""
    weight = anatomy.white + 0.3 * anatomy.grey
    z, y, x = anatomy.lattice.positions()
    if near is not None:
        squared = (z - near[0]) ** 2 + (y - near[1]) ** 2 + (x - near[2]) ** 2
        weight = weight * (squared < (3 * radius_mm + 10) ** 2) * (squared > (radius_mm + 5) ** 2)
        if float(weight.sum()) == 0:
            return near
    # Cerebellum and brain stem (the lowest part) are rare places in adults.
    weight = weight * torch.where(z < 45, 0.25, 1.0)
    index = int(torch.multinomial(weight.flatten().double(), 1, generator=generator))
    d, h, w = torch.unravel_index(torch.tensor(index), weight.shape)
    return float(z[d, 0, 0]), float(y[0, h, 0]), float(x[0, 0, w])


@dataclass
class Growth:
    """A tumour's fields on a lattice, each (D, H, W).

    Attributes:
        depth_mm: how deep inside the core a voxel lies; negative outside.
        concentration: of infiltrating cells and oedema fluid, 0 to 1.
        oedema_threshold: concentration above which a voxel belongs to the whole tumour.
        labels: uint8, 0, NCR = 1, ED = 2, ET = 4.
    """

    depth_mm: Tensor
    concentration: Tensor
    oedema_threshold: float
    labels: Tensor


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
        squared = sum(((p - c) / r) ** 2 for p, c, r in zip(positions, focus.centre_mm, focus.radii_mm, strict=True))
        radius = sum(focus.radii_mm) / 3
        lobes = smooth_noise(lattice.shape, max(radius * 0.8, 3.0) / WORK_SPACING, generator)[0]
        rough = smooth_noise(lattice.shape, max(radius * 0.3, 2.5) / WORK_SPACING, generator)[0]
        level = 1 - squared.sqrt() - tumour.irregularity * (0.8 * lobes + 0.35 * rough).clamp(-2, 2)
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
    noise = smooth_noise(anatomy.lattice.shape, 5, generator)[0]
    mobility = (anatomy.white + 0.03 * anatomy.grey) * (0.35 * noise).exp()
    mobility = mobility * anatomy.brain * (1 - anatomy.ventricles).clamp(0, 1)
    tissue = (anatomy.brain & (anatomy.fluid < 0.6)).float()
    concentration = torch.sigmoid(depth_mm / 1.5)
    if tumour.kind is Kind.INFILTRATIVE:
        for focus in tumour.foci:
            squared = sum(((p - c) ** 2) for p, c in zip(anatomy.lattice.positions(), focus.centre_mm, strict=True))
            concentration = torch.maximum(concentration, (squared < 25.0).float())
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
    rough = smooth_noise(anatomy.lattice.shape, 3, generator)[0]
    return (concentration * (0.15 * rough).exp() * tissue).clamp(0, 1)


def grow(tumour: Tumour, anatomy: Anatomy, work: Anatomy) -> Growth:
    """The tumour in its anatomy.

    Args:
        tumour: what to grow.
        anatomy: where the labels are wanted; tissues already displaced.
        work: the same anatomy on the lattice of `WORK_SPACING`.
    """
    shape, spacing = anatomy.lattice.shape, anatomy.lattice.spacing
    if tumour.kind is Kind.HEALTHY:
        nothing = torch.zeros(shape)
        return Growth(nothing + FAR_MM, nothing, 1.0, nothing.to(torch.uint8))
    depth = core_depth(tumour, work.ventricles)
    concentration = infiltrate(tumour, work, depth)

    outside = concentration[depth < 0]
    wanted = max(10, round(tumour.oedema_ml * 1000 / WORK_SPACING**3))
    wanted = min(wanted, outside.numel() - 1)
    threshold = max(float(outside.topk(wanted).values[-1]), 0.06)

    depth, concentration = (resized(x[None], shape)[0] for x in (depth, concentration))
    generator = seeded(tumour.seed + 2)
    fine = resized(smooth_noise(Lattice(2.0).shape, 1.5, generator), shape)[0]
    depth = depth + 0.5 * fine
    tissue = anatomy.brain & (anatomy.fluid < 0.6)
    core = anatomy.brain & (depth > 0)
    whole = core | (tissue & (concentration > threshold))
    enhancing = core & _enhancement(tumour, depth, generator)
    labels = torch.zeros(shape, dtype=torch.uint8)
    labels[whole] = ED
    labels[core] = NCR
    labels[enhancing] = ET_LABEL
    return Growth(depth, concentration * anatomy.brain, threshold, labels)


def _enhancement(tumour: Tumour, depth_mm: Tensor, generator: torch.Generator) -> Tensor:
    """Where the core enhances, (D, H, W) boolean; what lies outside the core has no meaning."""
    shape = tuple(depth_mm.shape)
    coarse = Lattice(WORK_SPACING).shape
    patches, pockets, waves = resized(smooth_noise(coarse, 5, generator, 3), shape)  # 10 mm
    size = max(max(f.radii_mm) for f in tumour.foci)
    # -1.3 takes a tenth of a normal distribution away, 0.7 three quarters.
    present = patches > -2.2 + 2.7 * tumour.patchiness
    if tumour.kind is Kind.RING:
        thickness = tumour.rim_mm * (0.45 * waves).exp()
        return (depth_mm < thickness) & present
    if tumour.kind is Kind.SOLID:
        return (pockets < 1.2) & (patches > -2.2 + 1.2 * tumour.patchiness)
    if tumour.kind is Kind.NODULAR:
        nodules = resized(smooth_noise(coarse, max(3.0, size / 3), generator), shape)[0]
        inside = nodules[depth_mm > 0]
        if inside.numel() == 0:
            return torch.zeros_like(present)
        return nodules > torch.quantile(inside[:200_000], 1 - tumour.enhancing_share)
    return torch.zeros_like(present)

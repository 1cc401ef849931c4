"""How tissues and tumour look in each sequence, before the scanner's imperfections.

Intensities are in units where the brightest tissue is near 1. Ranges are wide on purpose: scanners and protocols
differ, and a network that has seen narrow ranges learns the generator instead of the disease.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tokenunet.regions import ET_LABEL, NCR
from tokenunet.sequences import SEQUENCES, SequenceName
from tokenunet.synthesis.anatomy import Anatomy
from tokenunet.synthesis.fields import blurred, chance, fresh_seed, seeded, uniform
from tokenunet.synthesis.growth import Growth

TISSUE_RANGES: dict[SequenceName, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    # fluid, grey, white
    "T1": ((0.15, 0.38), (0.52, 0.68), (0.72, 0.92)),
    "T1ce": ((0.15, 0.40), (0.54, 0.74), (0.68, 0.90)),
    "T2": ((0.75, 1.05), (0.38, 0.56), (0.26, 0.42)),
    "FLAIR": ((0.05, 0.30), (0.48, 0.66), (0.40, 0.56)),
}
OEDEMA_CHANGE: dict[SequenceName, tuple[float, float]] = {
    # relative to white matter
    "T1": (-0.28, -0.06),
    "T1ce": (-0.26, -0.02),
    "T2": (0.12, 0.50),
    "FLAIR": (0.12, 0.45),
}
ENHANCING_CHANGE: dict[SequenceName, tuple[float, float]] = {
    "T1": (-0.34, -0.04),
    "T1ce": (0.10, 0.75),
    "T2": (0.08, 0.48),
    "FLAIR": (0.05, 0.45),
}
CORE_CHANGE: dict[SequenceName, tuple[float, float]] = {
    # solid tumour without enhancement
    "T1": (-0.42, -0.10),
    "T1ce": (-0.42, -0.05),
    "T2": (0.18, 0.60),
    "FLAIR": (0.05, 0.50),
}


@dataclass(frozen=True)
class SequenceContrast:
    """Mean intensities in one sequence, and how uneven they are.

    Attributes:
        fluid, grey, white: healthy tissues.
        oedema, core, enhancing: tumour parts; ``core`` is necrosis or non-enhancing tumour.
        detail: weight of the atlas's own variations.
        texture: amplitude of random variations in healthy tissue.
        tumour_texture: the same in the tumour.
        lesions: change by white-matter lesions and periventricular caps.
        ventricle_flow: amplitude of flow artefacts in the ventricles.
    """

    fluid: float
    grey: float
    white: float
    oedema: float
    core: float
    enhancing: float
    detail: float
    texture: float
    tumour_texture: float
    lesions: float
    ventricle_flow: float


@dataclass(frozen=True)
class Contrast:
    """The look of one patient's four images.

    Attributes:
        sequences: means by sequence.
        vessels, dura, choroid: brightness added by contrast agent in T1ce.
        lesion_threshold: higher means fewer white-matter lesions.
        caps: strength of the periventricular rims.
        core_border_mm, oedema_border_mm: softness of the borders.
        blood: brightness of blood in the core in T1 and T1ce; mostly 0.
        seed: of the random fields.
    """

    sequences: dict[SequenceName, SequenceContrast]
    vessels: float
    dura: float
    choroid: float
    lesion_threshold: float
    caps: float
    core_border_mm: float
    oedema_border_mm: float
    blood: float
    seed: int


def draw_contrast(generator: torch.Generator, variety: float = 1.0) -> Contrast:
    """Random contrasts; ``variety`` above 1 widens the ranges about their middles."""

    def within(bounds: tuple[float, float]) -> float:
        middle, half = sum(bounds) / 2, (bounds[1] - bounds[0]) / 2
        return uniform(generator, middle - half * variety, middle + half * variety)

    # A core may be nearly fluid (a cyst, liquid necrosis) or nearly solid; the four sequences agree on which.
    liquid = uniform(generator, 0.3, 1.0) if chance(generator, 0.4) else uniform(generator, 0.0, 0.3)
    sequences: dict[SequenceName, SequenceContrast] = {}
    for name in SEQUENCES:
        fluid, grey, white = (within(bounds) for bounds in TISSUE_RANGES[name])
        oedema = white + within(OEDEMA_CHANGE[name])
        solid_core = white + within(CORE_CHANGE[name])
        enhancing = white + within(ENHANCING_CHANGE[name])
        # Protein keeps the fluid of cysts and necrosis from being quite as dark in FLAIR as that of the ventricles.
        fluid_core = fluid + uniform(generator, 0.0, 0.35) * (oedema - fluid)
        if name == "FLAIR":
            oedema = max(oedema, grey + 0.04)
        if name == "T1ce":
            enhancing = max(enhancing, oedema + 0.1, sequences["T1"].enhancing + 0.08)
        sequences[name] = SequenceContrast(
            fluid=fluid,
            grey=grey,
            white=white,
            oedema=oedema,
            core=solid_core + liquid * (fluid_core - solid_core),
            enhancing=enhancing,
            detail=uniform(generator, 0.4, 1.2) * {"T1": 1.0, "T1ce": 0.8, "T2": -0.6, "FLAIR": -0.4}[name],
            texture=uniform(generator, 0.01, 0.04) * variety,
            tumour_texture=uniform(generator, 0.02, 0.10) * variety,
            lesions=uniform(generator, 0.1, 0.4) * {"T1": -0.4, "T1ce": -0.4, "T2": 0.7, "FLAIR": 1.0}[name],
            ventricle_flow=uniform(generator, 0.0, 0.08) if name == "FLAIR" else 0.0,
        )
    return Contrast(
        sequences=sequences,
        vessels=uniform(generator, 0.1, 0.7),
        dura=uniform(generator, 0.0, 0.6),
        choroid=uniform(generator, 0.0, 0.5),
        lesion_threshold=uniform(generator, 2.0, 4.5),
        caps=uniform(generator, 0.0, 0.9),
        core_border_mm=uniform(generator, 0.4, 1.0),
        oedema_border_mm=uniform(generator, 0.7, 2.5),
        blood=uniform(generator, 0.1, 0.5) if chance(generator, 0.1) else 0.0,
        seed=fresh_seed(generator),
    )


def paint(contrast: Contrast, anatomy: Anatomy, growth: Growth) -> Tensor:
    """The four images, (4, D, H, W) in the order of `SEQUENCES`, before artefacts, not yet zero outside the brain."""
    spacing = anatomy.lattice.spacing
    generator = seeded(contrast.seed)

    def noise(scale_mm: float) -> Tensor:
        return anatomy.lattice.noise(scale_mm, generator)[0]

    solid = anatomy.grey + anatomy.white
    lesions = _white_matter_lesions(contrast, anatomy, noise(5), noise(40))
    flow = anatomy.ventricles * noise(6)
    # Soft weights of the tumour's parts; they add up to at most 1.
    core_sigma, oedema_sigma = contrast.core_border_mm / spacing, contrast.oedema_border_mm / spacing
    core_part = blurred((growth.labels == NCR).float(), core_sigma)
    enhancing_part = blurred((growth.labels == ET_LABEL).float(), core_sigma)
    core = (core_part + enhancing_part).clamp(max=1)
    whole = torch.maximum(blurred((growth.labels > 0).float(), oedema_sigma), core)
    # Infiltration thins out towards its margin; grey matter takes up less water.
    density = (growth.concentration / (growth.oedema_threshold + 0.35)).clamp(0.45, 1.0)
    oedema_part = (whole - core) * density * (1 - 0.35 * anatomy.grey) * (1 - 0.8 * anatomy.fluid)
    rest = (1 - core_part - enhancing_part - oedema_part).clamp(0, 1)

    shared = 0.6 * noise(4) + 0.4 * noise(12)
    tumour_shared = 0.5 * noise(4) + 0.7 * noise(14)
    images = []
    for name in SEQUENCES:
        c = contrast.sequences[name]
        healthy = c.fluid * anatomy.fluid + c.grey * anatomy.grey + c.white * anatomy.white + c.detail * anatomy.detail
        own = noise(3)
        healthy = healthy + solid * (c.texture * (0.6 * shared + 0.6 * own)) + c.lesions * lesions
        if c.ventricle_flow:
            healthy = healthy + c.ventricle_flow * flow
        if name == "T1ce":
            healthy = healthy + _contrast_agent(contrast, anatomy, noise)
        tumour = c.oedema * oedema_part + c.core * core_part + c.enhancing * enhancing_part
        uneven = c.tumour_texture * (0.7 * tumour_shared + 0.5 * own) * (oedema_part * 0.6 + core)
        images.append(rest * healthy + tumour + uneven)
    painted = torch.stack(images).clamp_(min=0.02)
    if contrast.blood:
        spots = (noise(8) - 0.8).clamp(0, 1) * core_part * contrast.blood
        painted[:2] += spots
    return painted


def _white_matter_lesions(contrast: Contrast, anatomy: Anatomy, fine: Tensor, wide: Tensor) -> Tensor:
    """Spots in white matter and rims along the ventricles, 0 to 1: what age leaves, and no tumour."""
    near_ventricles = blurred(anatomy.ventricles, 5 / anatomy.lattice.spacing)
    spots = ((fine + 0.5 * wide + 2 * near_ventricles - contrast.lesion_threshold) * 2).clamp(0, 1)
    rims = contrast.caps * blurred(anatomy.ventricles, 2.5 / anatomy.lattice.spacing) * (0.8 + 0.6 * wide).clamp(0, 1.5)
    return torch.maximum(spots, rims.clamp(0, 1)) * anatomy.white


def _contrast_agent(contrast: Contrast, anatomy: Anatomy, noise: Callable[[float], Tensor]) -> Tensor:
    """What lights up in T1ce without being tumour: vessels, dura with the large sinuses, choroid plexus."""
    first, second, patches = noise(11), noise(11), noise(10)
    # Where two smooth fields are both zero there is a curve: a vessel, thin and winding.
    curve = (-(first**2 + second**2) / (2 * 0.16**2)).exp()
    surface = blurred(anatomy.fluid * (1 - anatomy.ventricles), 1.5 / anatomy.lattice.spacing)
    vessels = contrast.vessels * curve * (0.08 + 2.0 * surface).clamp(max=1)
    inner = blurred(anatomy.brain.float(), 2.0 / anatomy.lattice.spacing)
    dura = contrast.dura * ((0.85 - inner) * 3).clamp(0, 1) * (patches - 0.3).clamp(0, 1)
    choroid = contrast.choroid * anatomy.ventricles * (patches - 0.6).clamp(0, 1)
    return vessels + dura + choroid

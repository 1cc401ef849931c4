"""Intensities of tissues and tumor in each sequence, before the scanner's artifacts.

Intensities are in units where the brightest tissue is near 1. Ranges are wide on purpose: scanners and protocols
differ, and a network trained on narrow ranges learns the generator instead of the disease. They are not so wide that
a part of the tumor becomes invisible: people outline what they see, and the ground truth has to match that.

Figures such as ``ED-WM_T1`` in comments are those of real patients, named as in `tokenunet.synthesis.appearance`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.synthesis.anatomy import Anatomy
from tokenunet.synthesis.fields import blurred, chance, fresh_seed, resized, seeded, uniform
from tokenunet.synthesis.growth import WORK_SPACING, Growth
from tokenunet.synthesis.surroundings import Enhancers, draw_enhancers, surroundings, with_surroundings

TISSUE_RANGES: dict[SequenceName, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    # Fluid, gray, white minus gray. Scanners differ most in the last, from almost no contrast to a lot; in FLAIR,
    # white matter is mostly darker than gray, sometimes a little brighter; T2 may be close to a proton density. Real
    # scans have less contrast than textbooks: WM_T1 is .70 z, and nothing is 4 z below the mean except black voxels.
    # Fluid in T2 is 2.8 times as bright as white matter, up to 4.7 times (CSF_T2, p999_T2).
    "T1": ((0.20, 0.48), (0.48, 0.66), (0.04, 0.24)),
    "T1ce": ((0.20, 0.50), (0.50, 0.70), (-0.02, 0.22)),
    "T2": ((0.80, 2.00), (0.34, 0.56), (-0.19, 0.02)),
    "FLAIR": ((0.06, 0.38), (0.46, 0.66), (-0.14, 0.06)),
}
EDEMA_CHANGE: dict[SequenceName, tuple[float, float]] = {
    # relative to white matter; infiltration may be faint
    "T1": (-0.22, 0.01),  # ED-WM_T1
    "T1ce": (-0.22, -0.01),  # ED-WM_T1ce; see `_ISOINTENSE_EDEMA`
    "T2": (0.10, 0.46),  # ED-WM_T2
    "FLAIR": (0.13, 0.50),  # ED-WM_FLAIR, 43 % of it below 1.5 z
}
_ISOINTENSE_EDEMA = ((-0.02, 0.06), 0.3)
"""Change in T1ce, and share of patients: in 4 of 15 real ones, edema is at least as bright as white matter."""
ENHANCING_CHANGE: dict[SequenceName, tuple[float, float]] = {
    # relative to edema; ET-ED of the sequence's name
    "T1": (-0.06, 0.10),
    "T1ce": (0.12, 0.90),
    "T2": (-0.18, 0.18),
    "FLAIR": (-0.22, 0.12),
}
CORE_CHANGE: dict[SequenceName, tuple[float, float]] = {
    # solid tumor without enhancement, relative to edema; NCR-ED of the sequence's name
    "T1": (-0.10, 0.02),
    "T1ce": (-0.13, 0.08),
    "T2": (-0.02, 0.36),
    "FLAIR": (-0.08, 0.22),
}
_DARK_CORE_IN_FLAIR = ((-0.35, -0.05), 0.2)
"""Change, and share of patients: 3 of 14 real solid cores are darker in FLAIR than the edema (NCR-ED_FLAIR)."""
_LEAST_CONTRAST = 0.08
"""Smallest contrast between edema and gray matter in FLAIR."""


@dataclass(frozen=True)
class SequenceContrast:
    """Mean intensities in one sequence, and their variations.

    Attributes:
        fluid: Mean of cerebrospinal fluid.
        gray: Mean of gray matter.
        white: Mean of white matter.
        edema: Mean of edema and infiltration.
        core: Mean of necrosis or non-enhancing tumor.
        enhancing: Mean of enhancing tumor.
        detail: Weight of the intensity variations of the atlas.
        texture: Amplitude of random variations in healthy tissue.
        tumor_texture: Amplitude of random variations in the edema.
        core_texture: Amplitude of random variations in the core, which is seldom as homogeneous as edema.
        subregion: Difference in mean between the two parts of a core, -0.12 to 0.12.
        lesions: Change by white-matter lesions and periventricular caps.
        ependyma: Brightness of the thin lining of the ventricles; 0 to 0.25 in FLAIR.
        limbic: Brightness of insula, hippocampus and cingulate above other gray matter; 0 to 0.15 in FLAIR.
        white_haze: Amplitude of slow variations in white matter, as from thin myelin; up to 0.04 in FLAIR.
        ventricle_flow: Amplitude of flow artifacts in the ventricles; 0 to 0.08 in FLAIR.
        cistern_flow: Amplitude of unsuppressed fluid around the brain; up to 0.3 in one of four FLAIR images.
    """

    fluid: float
    gray: float
    white: float
    edema: float
    core: float
    enhancing: float
    detail: float
    texture: float
    tumor_texture: float
    core_texture: float
    subregion: float
    lesions: float
    ependyma: float
    limbic: float
    white_haze: float
    ventricle_flow: float
    cistern_flow: float


@dataclass(frozen=True)
class Contrast:
    """Intensities of one patient's four images.

    Attributes:
        sequences: Means and variations by sequence.
        enhancers: Intensities of vessels, dura, choroid plexus and the surroundings of the brain.
        lesion_threshold: Threshold of white-matter lesions; a higher one means fewer.
        caps: Strength of the periventricular caps.
        core_border_mm: Standard deviation of the blur of the core's border, in mm.
        edema_border_mm: Standard deviation of the blur of the edema's border, in mm.
        blood: Brightness of blood in the core in T1 and T1ce, darkness in T2 and FLAIR; 0 in 80 %.
        cysts: Amount of fluid pockets with a sharp border in the core, 0 to 0.6; 0 in 70 %.
        weakness: Share by which enhancement fades in patches and gaps, 0 to 0.8.
        seed: Seed of the random fields.
    """

    sequences: dict[SequenceName, SequenceContrast]
    enhancers: Enhancers
    lesion_threshold: float
    caps: float
    core_border_mm: float
    edema_border_mm: float
    blood: float
    cysts: float
    weakness: float
    seed: int


def draw_contrast(generator: torch.Generator, randomization: float = 1.0) -> Contrast:
    """Draw random intensities.

    Args:
        generator: Source of randomness.
        randomization: Factor on the width of the drawn ranges about their centers.
    """

    def within(bounds: tuple[float, float]) -> float:
        middle, half = sum(bounds) / 2, (bounds[1] - bounds[0]) / 2
        return uniform(generator, middle - half * randomization, middle + half * randomization)

    # A core may be nearly fluid (a cyst, liquid necrosis), solid, or barely distinct from the edema, in all four
    # sequences alike. Of 14 real ones most are solid: the medians of NCR-ED are -.26, -.38, +.93 and +.59 z.
    liquid = uniform(generator, 0.25, 1.0) if chance(generator, 0.3) else uniform(generator, 0.0, 0.15)
    distinctness = uniform(generator, 0.1, 0.5) if chance(generator, 0.25) else uniform(generator, 0.6, 1.0)
    isointense_edema, dark_in_flair = chance(generator, _ISOINTENSE_EDEMA[1]), chance(generator, _DARK_CORE_IN_FLAIR[1])
    sequences: dict[SequenceName, SequenceContrast] = {}
    for name in SEQUENCES:
        fluid, gray, gap = (within(bounds) for bounds in TISSUE_RANGES[name])
        white = gray + gap
        if name == "FLAIR":
            fluid = min(fluid, white - 0.12)
        edema_bounds = _ISOINTENSE_EDEMA[0] if name == "T1ce" and isointense_edema else EDEMA_CHANGE[name]
        edema = white + within(edema_bounds)
        if name == "FLAIR":
            edema = max(edema, gray + _LEAST_CONTRAST)
        core_bounds = _DARK_CORE_IN_FLAIR[0] if name == "FLAIR" and dark_in_flair else CORE_CHANGE[name]
        solid_core = edema + distinctness * within(core_bounds)
        enhancing = edema + within(ENHANCING_CHANGE[name])
        # Because of its protein, the fluid of cysts and necrosis is less dark in FLAIR than that of the ventricles;
        # none of 14 real cores is more than about 1 z darker in FLAIR than the edema.
        protein = uniform(generator, 0.5, 1.0) if name == "FLAIR" else uniform(generator, 0.0, 0.4)
        fluid_core = fluid + protein * (edema - fluid)
        if name == "T1ce":
            enhancing = max(enhancing, edema + 0.1, sequences["T1"].enhancing + 0.08)
        # Strength of the effects that only T2-weighted sequences show.
        water = {"T1": 0.0, "T1ce": 0.0, "T2": 0.6, "FLAIR": 1.0}[name]
        unsuppressed = name == "FLAIR" and chance(generator, 0.25)
        sequences[name] = SequenceContrast(
            fluid=fluid,
            gray=gray,
            white=white,
            edema=edema,
            core=solid_core + liquid * (fluid_core - solid_core),
            enhancing=enhancing,
            detail=uniform(generator, 0.4, 1.2) * {"T1": 1.0, "T1ce": 0.8, "T2": -0.6, "FLAIR": -0.4}[name],
            texture=uniform(generator, 0.005, 0.03) * randomization,
            tumor_texture=uniform(generator, 0.01, 0.08) * randomization,
            core_texture=uniform(generator, 0.01, 0.10) * randomization,
            subregion=uniform(generator, -0.12, 0.12),
            lesions=uniform(generator, 0.1, 0.4) * {"T1": -0.4, "T1ce": -0.4, "T2": 0.7, "FLAIR": 1.0}[name],
            ependyma=uniform(generator, 0.0, 0.25) * water,
            limbic=uniform(generator, 0.0, 0.15) * water,
            white_haze=uniform(generator, 0.0, 0.04) * water,
            ventricle_flow=uniform(generator, 0.0, 0.08) if name == "FLAIR" else 0.0,
            cistern_flow=uniform(generator, 0.05, 0.3) if unsuppressed else 0.0,
        )
    return Contrast(
        sequences=sequences,
        enhancers=draw_enhancers(generator, randomization),
        lesion_threshold=uniform(generator, 2.0, 4.5),
        caps=uniform(generator, 0.0, 0.9),
        core_border_mm=uniform(generator, 0.4, 1.0),
        edema_border_mm=uniform(generator, 0.7, 2.5),
        blood=uniform(generator, 0.15, 0.6) if chance(generator, 0.2) else 0.0,
        cysts=uniform(generator, 0.1, 0.6) if chance(generator, 0.3) else 0.0,
        weakness=uniform(generator, 0.0, 0.8),
        seed=fresh_seed(generator),
    )


def paint(contrast: Contrast, anatomy: Anatomy, work: Anatomy, growth: Growth, outside_mm: Tensor) -> Tensor:
    """Paint the four images without artifacts.

    Args:
        contrast: Intensities of tissues and tumor.
        anatomy: Anatomy on the lattice of the images.
        work: Anatomy of the same patient at `WORK_SPACING`, with landmarks.
        growth: Tumor on the lattice of ``anatomy``.
        outside_mm: Signed distance from the brain's surface in mm, on the lattice of ``work``.

    Returns:
        Images (4, D, H, W) in the order of `SEQUENCES`; outside the brain are fluid, dura and bone.
    """
    spacing = anatomy.lattice.spacing
    generator = seeded(contrast.seed)

    def noise(scale_mm: float) -> Tensor:
        return anatomy.lattice.noise(scale_mm, generator)[0]

    solid = anatomy.gray + anatomy.white
    around = surroundings(contrast.enhancers, anatomy, work, outside_mm, generator)
    lesions, ependyma = _ventricle_rims(contrast, anatomy, work, generator)
    flow, haze = noise(6), noise(30)
    # Soft weights of the tumor's parts; they add up to at most 1.
    core_sigma, edema_sigma = contrast.core_border_mm / spacing, contrast.edema_border_mm / spacing
    core_part = blurred(growth.core_share - growth.enhancing_share, core_sigma)
    enhancing_part = blurred(growth.enhancing_share, core_sigma)
    core = (core_part + enhancing_part).clamp(max=1)
    whole = torch.maximum(blurred((growth.labels > 0).float(), edema_sigma), core)
    # Infiltration is thinner toward its margin; gray matter takes up less water.
    density = (growth.concentration / (growth.edema_threshold + 0.35)).clamp(0.5, 1.0)
    edema_part = (whole - core) * density * (1 - 0.35 * anatomy.gray) * (1 - 0.8 * anatomy.fluid)
    rest = (1 - core_part - enhancing_part - edema_part).clamp(0, 1)

    shared, core_coarse = 0.6 * noise(4) + 0.4 * noise(12), noise(10)
    tumor_shared, core_shared = noise(14), 0.6 * noise(4) + 0.7 * core_coarse
    parts = ((core_coarse + 0.6 * noise(16)) * 5).sigmoid() * core_part
    cysts = ((core_coarse - 1.6 + 3.0 * contrast.cysts) * 8).sigmoid() * core_part if contrast.cysts else None
    # Enhancement fades in large patches and in gaps of a few mm, which people include in their outlines.
    fading = 1 - contrast.weakness * (0.5 + 0.4 * tumor_shared + 0.5 * shared).clamp(0, 1)
    images = []
    for name in SEQUENCES:
        c = contrast.sequences[name]
        healthy = c.fluid * anatomy.fluid + c.gray * anatomy.gray + c.white * anatomy.white + c.detail * anatomy.detail
        own = noise(3)
        healthy = healthy + solid * (c.texture * 0.6 * (shared + own)) + c.lesions * lesions
        if c.ependyma:
            healthy = healthy + c.ependyma * ependyma + c.limbic * around.limbic
            healthy = healthy + c.white_haze * haze * anatomy.white
        if c.ventricle_flow:
            healthy = healthy + c.ventricle_flow * flow * anatomy.ventricles
        if c.cistern_flow:
            healthy = healthy + c.cistern_flow * (haze + 0.3 * flow).clamp(min=0) * anatomy.fluid
        healthy = with_surroundings(healthy, name, contrast.enhancers, around, anatomy.brain, c.fluid, c.white)
        uptake = (c.enhancing - c.edema) * (fading if name == "T1ce" else 1.0)
        tumor = c.edema * edema_part + c.core * core_part + (c.edema + uptake) * enhancing_part
        tumor = tumor + c.subregion * parts
        if cysts is not None:
            tumor = tumor + (0.85 * c.fluid + 0.15 * c.edema - c.core) * cysts
        uneven = (0.7 * tumor_shared + 0.4 * own) * c.tumor_texture * edema_part
        uneven = uneven + (0.7 * core_shared + 0.5 * own) * c.core_texture * core
        images.append(rest * healthy + tumor + uneven)
    painted = torch.stack(images).clamp_(min=0.02)
    if contrast.blood:
        spots = (noise(8) - 0.5).clamp(0, 1) * core_part
        painted[:2] += contrast.blood * spots
        painted[2:] *= 1 - contrast.blood * spots
    return painted


def _ventricle_rims(
    contrast: Contrast, anatomy: Anatomy, work: Anatomy, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the weights (0 to 1) of age-related white-matter lesions with periventricular caps, and of ependyma."""
    fine, wide = (work.lattice.noise(scale, generator)[0] for scale in (5, 40))
    near_ventricles = blurred(work.ventricles, 5 / WORK_SPACING)
    spots = ((fine + 0.5 * wide + 2 * near_ventricles - contrast.lesion_threshold) * 2).clamp(0, 1)
    rims = contrast.caps * blurred(work.ventricles, 2.5 / WORK_SPACING) * (0.8 + 0.6 * wide).clamp(0, 1.5)
    lesions = torch.maximum(spots, rims.clamp(0, 1)) * work.white
    ependyma = (2.5 * blurred(work.ventricles, 1.2 / WORK_SPACING)).clamp(0, 1) * (1 - work.fluid)
    fine_lesions, fine_ependyma = resized(torch.stack([lesions, ependyma]), anatomy.lattice.shape)
    return fine_lesions, fine_ependyma

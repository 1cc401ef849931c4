"""Healthy structures as bright as tumors (vessels, dura, choroid plexus), and the surroundings of the brain."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenunet.core.sequences import SequenceName
from tokenunet.synthesis.anatomy import Anatomy
from tokenunet.synthesis.fields import blurred, chance, resized, uniform
from tokenunet.synthesis.landmarks import Landmark

VESSEL_LOOK: dict[SequenceName, tuple[float, float]] = {
    # Blood without contrast agent: flowing blood is dark in spin echoes, of any brightness in gradient echoes
    "T1": (0.25, 1.20),
    "T2": (0.05, 0.45),
    "FLAIR": (0.10, 0.50),
}
PLEXUS_LOOK: dict[SequenceName, tuple[float, float]] = {
    # Choroid plexus: soft tissue, often with cysts that are bright in FLAIR
    "T1": (0.30, 0.65),
    "T2": (0.45, 0.90),
    "FLAIR": (0.35, 0.80),
}
DURA_LOOK: dict[SequenceName, tuple[float, float]] = {
    "T1": (0.30, 0.70),
    "T2": (0.08, 0.40),
    "FLAIR": (0.20, 0.70),
}
BONE_LOOK: dict[SequenceName, tuple[float, float]] = {
    # The inner table is black; marrow and fat behind it are not
    "T1": (0.02, 0.40),
    "T1ce": (0.02, 0.40),
    "T2": (0.02, 0.30),
    "FLAIR": (0.02, 0.35),
}


@dataclass(frozen=True)
class Enhancers:
    """Intensities of one patient's healthy structures, with contrast agent and without.

    Brightness is relative to white matter in T1ce. Real sinuses and large vessels are 3 to 9 standard deviations
    brighter than the brain's mean, more than most tumors: a network has to recognize them by position and shape.

    Attributes:
        veins: Brightness of the dural sinuses and deep veins, 0.2 to 1.5.
        arteries: Brightness of the arteries at the base, 0.1 to 1.2; they are brighter in gradient echoes.
        cortical: Brightness of the small vessels in the sulci, 0 to 1.2.
        dura: Brightness of the patchy falx, tentorium and convexity, 0 to 0.9 and mostly low.
        choroid: Brightness of the choroid plexus, 0.1 to 1.0.
        calibre_mm: Addition to the radius of vessels, in mm, -0.9 to 0.5.
        plexus_mm: Addition to the radius of the choroid plexus, in mm, -0.8 to 1.8.
        sheet_mm: Addition to the half thickness of falx and tentorium, in mm, -0.4 to 0.4.
        leptomeninges: Brightness of a thin lining of the brain's surface, 0 in three of four patients, up to 0.5.
        vessel_look: Intensity of vessels without contrast agent, by sequence.
        plexus_look: Intensity of the choroid plexus without contrast agent, by sequence.
        dura_look: Intensity of the dura without contrast agent, by sequence.
        bone_look: Intensity of bone, by sequence.
    """

    veins: float
    arteries: float
    cortical: float
    dura: float
    choroid: float
    calibre_mm: float
    plexus_mm: float
    sheet_mm: float
    leptomeninges: float
    vessel_look: dict[SequenceName, float]
    plexus_look: dict[SequenceName, float]
    dura_look: dict[SequenceName, float]
    bone_look: dict[SequenceName, float]


def draw_enhancers(generator: torch.Generator, randomization: float = 1.0) -> Enhancers:
    """Draw random intensities of healthy structures.

    Args:
        generator: Source of randomness.
        randomization: Factor on the brightness with contrast agent.
    """

    def look(ranges: dict[SequenceName, tuple[float, float]]) -> dict[SequenceName, float]:
        return {name: uniform(generator, *bounds) for name, bounds in ranges.items()}

    return Enhancers(
        veins=uniform(generator, 0.2, 1.5) * randomization,
        arteries=uniform(generator, 0.1, 1.2) * randomization,
        cortical=uniform(generator, 0.0, 1.2) * randomization,
        dura=0.9 * uniform(generator, 0.0, 1.0) ** 1.5 * randomization,
        choroid=uniform(generator, 0.1, 1.0) * randomization,
        calibre_mm=uniform(generator, -0.9, 0.5),
        plexus_mm=uniform(generator, -0.8, 1.8),
        sheet_mm=uniform(generator, -0.4, 0.4),
        leptomeninges=uniform(generator, 0.1, 0.5) if chance(generator, 0.25) else 0.0,
        vessel_look=look(VESSEL_LOOK),
        plexus_look=look(PLEXUS_LOOK),
        dura_look=look(DURA_LOOK),
        bone_look=look(BONE_LOOK),
    )


@dataclass
class Surroundings:
    """Weights (0 to 1) of healthy structures on a lattice, each (D, H, W).

    Attributes:
        vessels: Dural sinuses, deep veins and arteries.
        vessel_brightness: Brightness of the vessels in T1ce relative to white matter.
        cortical: Small vessels along the brain's surface.
        sheets: Falx, tentorium and dura of the convexity.
        choroid: Choroid plexus and pineal gland.
        lining: Outermost 2 mm of the brain.
        bone: Bone outside the dura.
        limbic: Gray matter that is often brighter in FLAIR.
    """

    vessels: Tensor
    vessel_brightness: Tensor
    cortical: Tensor
    sheets: Tensor
    choroid: Tensor
    lining: Tensor
    bone: Tensor
    limbic: Tensor


def surroundings(
    enhancers: Enhancers, anatomy: Anatomy, work: Anatomy, outside_mm: Tensor, generator: torch.Generator
) -> Surroundings:
    """Compute the weights of healthy structures.

    Args:
        enhancers: Parameters of the structures, of which their widths are used.
        anatomy: Anatomy on the lattice of the weights.
        work: Anatomy of the same patient at 2 mm, with landmarks, on which most is computed.
        outside_mm: Signed distance from the brain's surface in mm, (d, h, w) on the lattice of ``work``.
        generator: Source of randomness.

    Raises:
        ValueError: If ``work`` has no landmarks.
    """
    lattice, landmarks, shape = work.lattice, work.landmarks, anatomy.lattice.shape
    if landmarks is None:
        raise ValueError("The anatomy has no landmarks.")
    uneven, patches, wide = (lattice.noise(s, generator)[0] for s in (7, 9, 30))
    wider = enhancers.calibre_mm + 0.4 * uneven
    # Interpolation from 2 mm blurs thin structures, logits less than weights.
    veins = (wider + 0.3 - landmarks[Landmark.VEINS]) / 0.45
    arteries = (0.7 * wider + 0.4 - landmarks[Landmark.ARTERIES]) / 0.4
    # A dural sheet can be distinguished from the fluid of the cleft only in some places.
    sheet = (enhancers.sheet_mm + 0.2 + 0.4 * patches - landmarks[Landmark.SHEETS]) / 0.4
    gap_mm = (1.2 + 1.0 * wide).clamp(0.2, 4.0)
    convexity = (0.9 + 0.3 * patches - (outside_mm - gap_mm - 0.6).abs()) / 0.4
    cleft = work.fluid * (1 - work.ventricles)
    # Choroid plexus is inside the ventricle or at its wall.
    inside = (2.5 * blurred(work.ventricles, 0.6)).clamp(0, 1)
    plexus = (enhancers.plexus_mm + 0.9 * uneven - landmarks[Landmark.CHOROID]) / 0.5
    limbic = (-landmarks[Landmark.LIMBIC] / 2).sigmoid() * (0.7 + 0.4 * wide).clamp(0, 1.5)
    lining = ((2.0 + outside_mm) / 0.7).sigmoid() * (patches + 0.3).clamp(0, 1)
    bone = (outside_mm - gap_mm - 1.4) / 0.4
    near = (blurred(cleft, 0.75) * 3 + 0.05).clamp(max=1)
    maps = torch.stack([veins, arteries, torch.maximum(sheet, convexity), plexus, bone, inside, limbic, lining, near])
    maps[:5].clamp_(-8, 8)
    veins, arteries, sheet, plexus, bone, inside, limbic, lining, near = resized(maps, shape)
    veins, arteries = veins.sigmoid(), arteries.sigmoid() * (1 - anatomy.white)
    vessels = torch.maximum(veins, arteries)
    brightness = torch.where(veins > arteries, enhancers.veins, enhancers.arteries)
    # Two smooth fields are both zero along thin, winding curves, as vessels are.
    curves = torch.zeros(shape)
    for scale, width in ((14.0, 0.16), (8.0, 0.2)):
        first, second = anatomy.lattice.noise(scale, generator, fields=2)
        curves = torch.maximum(curves, (first.square_() + second.square_()).mul_(-0.5 / width**2).exp_())
    return Surroundings(
        vessels=vessels,
        vessel_brightness=brightness,
        cortical=curves * near,
        sheets=sheet.sigmoid() * (1 - anatomy.white),
        choroid=plexus.sigmoid() * inside,
        lining=lining,
        bone=bone.sigmoid() * ~anatomy.brain,
        limbic=limbic * anatomy.gray,
    )


def with_surroundings(
    image: Tensor,
    name: SequenceName,
    enhancers: Enhancers,
    around: Surroundings,
    brain: Tensor,
    fluid: float,
    white: float,
) -> Tensor:
    """Add healthy structures and the surroundings of the brain to one image.

    Args:
        image: Image of the brain's tissues, (D, H, W).
        name: Sequence of the image.
        enhancers: Intensities of the structures.
        around: Weights of the structures.
        brain: Brain mask, boolean (D, H, W).
        fluid: Intensity of the fluid around the brain.
        white: Intensity of white matter, to which brightness in T1ce is relative.

    Returns:
        Image (D, H, W).
    """
    image = torch.where(brain, image, fluid)
    if name == "T1ce":
        image = image + around.lining * enhancers.leptomeninges
        image = image.lerp(torch.tensor(white + enhancers.dura), around.sheets)
        image = image.lerp(torch.tensor(white + enhancers.choroid), around.choroid)
        image = torch.where(brain, image, image.lerp(torch.tensor(enhancers.bone_look[name]), around.bone))
        image = image + around.cortical * enhancers.cortical
        return image.lerp(white + around.vessel_brightness, around.vessels)
    image = image.lerp(torch.tensor(enhancers.dura_look[name]), around.sheets)
    image = image.lerp(torch.tensor(enhancers.plexus_look[name]), around.choroid)
    image = image.lerp(torch.tensor(enhancers.bone_look[name]), around.bone)
    return image.lerp(torch.tensor(enhancers.vessel_look[name]), around.vessels)

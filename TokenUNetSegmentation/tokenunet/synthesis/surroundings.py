"""Healthy structures as bright as tumors: vessels, dura, choroid plexus; and what lies about the brain."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenunet.core.sequences import SequenceName
from tokenunet.synthesis.anatomy import Anatomy
from tokenunet.synthesis.fields import blurred, chance, resized, uniform
from tokenunet.synthesis.landmarks import Landmark

VESSEL_LOOK: dict[SequenceName, tuple[float, float]] = {
    # of blood without contrast agent: flowing blood is dark in spin echoes, of any brightness in gradient echoes
    "T1": (0.25, 1.20),
    "T2": (0.05, 0.45),
    "FLAIR": (0.10, 0.50),
}
PLEXUS_LOOK: dict[SequenceName, tuple[float, float]] = {
    # choroid plexus: soft tissue, often with cysts that are bright in FLAIR
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
    # the inner table is black; marrow and fat behind it are not
    "T1": (0.02, 0.40),
    "T1ce": (0.02, 0.40),
    "T2": (0.02, 0.30),
    "FLAIR": (0.02, 0.35),
}


@dataclass(frozen=True)
class Enhancers:
    """How one patient's healthy structures take up contrast agent, and how they look without it.

    Brightness is what T1ce has above white matter. Real sinuses and large vessels stand 3 to 9 standard deviations
    above the brain's mean, more than most tumors: a network has to know them by their place and shape.

    Attributes:
        veins: brightness of the dural sinuses and deep veins, 0.2 to 1.5.
        arteries: of the arteries at the base, 0.1 to 1.2; gradient echoes show them brighter.
        cortical: of the small vessels in the sulci, 0 to 1.2.
        dura: of falx, tentorium and convexity, 0 to 0.9, mostly little; patchy.
        choroid: of the choroid plexus, 0.1 to 1.0.
        calibre_mm: how much wider than average vessels are, -0.9 to 0.5.
        plexus_mm: how much larger than average the choroid plexus is, -0.8 to 1.8.
        sheet_mm: how much thicker than average falx and tentorium are, -0.4 to 0.4.
        leptomeninges: brightness of a thin lining of the brain's surface, 0 to 0.5 in one of four.
        vessel_look, plexus_look, dura_look, bone_look: brightness without contrast agent, by sequence.
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


def draw_enhancers(generator: torch.Generator, variety: float = 1.0) -> Enhancers:
    """Random enhancement; ``variety`` above 1 makes it stronger."""

    def look(ranges: dict[SequenceName, tuple[float, float]]) -> dict[SequenceName, float]:
        return {name: uniform(generator, *bounds) for name, bounds in ranges.items()}

    return Enhancers(
        veins=uniform(generator, 0.2, 1.5) * variety,
        arteries=uniform(generator, 0.1, 1.2) * variety,
        cortical=uniform(generator, 0.0, 1.2) * variety,
        dura=0.9 * uniform(generator, 0.0, 1.0) ** 1.5 * variety,
        choroid=uniform(generator, 0.1, 1.0) * variety,
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
    """Where those structures are, weights of 0 to 1 on a lattice, (D, H, W).

    Attributes:
        vessels: dural sinuses, deep veins and arteries.
        vessel_brightness: of each of them in T1ce, above white matter.
        cortical: small vessels along the brain's surface.
        sheets: falx, tentorium, dura of the convexity.
        choroid: choroid plexus and pineal gland.
        lining: the brain's outermost 2 mm.
        bone: what lies beyond the dura.
        limbic: gray matter that FLAIR often shows brighter.
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
    """Where the structures are.

    Args:
        enhancers: decide their width.
        anatomy: of the lattice wanted.
        work: the same on a lattice of 2 mm, with landmarks; most is computed there.
        outside_mm: (d, h, w) distance outside the brain on the lattice of ``work``.
        generator: source of randomness.
    """
    lattice, landmarks, shape = work.lattice, work.landmarks, anatomy.lattice.shape
    if landmarks is None:
        raise ValueError("The anatomy has no landmarks.")
    uneven, patches, wide = (lattice.noise(s, generator)[0] for s in (7, 9, 30))
    wider = enhancers.calibre_mm + 0.4 * uneven
    # Interpolation from 2 mm blunts thin things; logits survive it better than weights.
    veins = (wider + 0.3 - landmarks[Landmark.VEINS]) / 0.45
    arteries = (0.7 * wider + 0.4 - landmarks[Landmark.ARTERIES]) / 0.4
    # A dural sheet is told from the cleft's fluid only here and there.
    sheet = (enhancers.sheet_mm + 0.2 + 0.4 * patches - landmarks[Landmark.SHEETS]) / 0.4
    gap_mm = (1.2 + 1.0 * wide).clamp(0.2, 4.0)
    convexity = (0.9 + 0.3 * patches - (outside_mm - gap_mm - 0.6).abs()) / 0.4
    cleft = work.fluid * (1 - work.ventricles)
    # Choroid plexus floats in the ventricle or lies against its wall.
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
    # Where two smooth fields are both zero there is a curve: a vessel, thin and winding.
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
    """One sequence of a healthy brain with vessels, dura, plexus, and with fluid, dura and bone about it, (D, H, W)."""
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

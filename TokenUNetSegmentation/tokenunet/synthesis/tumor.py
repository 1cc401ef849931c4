"""Which gliomas there are: where they sit, what they are made of, how large they are."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from tokenunet.synthesis.anatomy import Anatomy
from tokenunet.synthesis.fields import chance, fresh_seed, uniform


class Kind(StrEnum):
    """What the core of the tumor is made of."""

    RING = "ring"
    """An enhancing rim around necrosis, as in most glioblastomas."""
    SOLID = "solid"
    """Enhancing almost throughout."""
    NODULAR = "nodular"
    """A non-enhancing mass with enhancing parts."""
    NON_ENHANCING = "non_enhancing"
    """A core without enhancement, as in most low-grade gliomas."""
    INFILTRATIVE = "infiltrative"
    """Edema or infiltration alone."""
    HEALTHY = "healthy"
    """No tumor."""


KIND_SHARES = {
    Kind.RING: 0.30,
    Kind.SOLID: 0.12,
    Kind.NODULAR: 0.18,
    Kind.NON_ENHANCING: 0.16,
    Kind.INFILTRATIVE: 0.12,
    Kind.HEALTHY: 0.12,
}


@dataclass(frozen=True)
class Focus:
    """One lesion's core: an ellipsoid that noise makes irregular.

    Attributes:
        center_mm: (z, y, x) in the field of view.
        radii_mm: half axes along (z, y, x).
    """

    center_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]

    @property
    def radius_mm(self) -> float:
        """The mean half axis."""
        return sum(self.radii_mm) / 3

    def distance(self, positions: list[Tensor]) -> Tensor:
        """Distance from the center relative to the half axes: 1 on the ellipsoid's surface."""
        z, y, x = ((p - c) / r for p, c, r in zip(positions, self.center_mm, self.radii_mm, strict=True))
        return (z**2 + y**2 + x**2).sqrt()


@dataclass(frozen=True)
class Tumor:
    """Everything that decides the shape of one patient's tumor.

    Attributes:
        kind: what the core is made of.
        foci: one lesion, or more.
        irregularity: amplitude of the noise on the core's boundary, relative to its radius.
        rim_mm: thickness of the enhancing rim, 1.5 to 8; thin ones as often as thick ones.
        patchiness: how much of the enhancement is missing in patches, 0 to 0.9; above 0.2 in 45 %.
        enhancing_share: of the core, for nodular tumors; 0.05 to 0.6.
        edema_ml: volume of edema aimed at; anatomy may leave less room.
        spread_mm: how far infiltration reaches along white matter.
        cortex_sparing: how much less gray matter takes part in the edema than white, 0 to 0.8.
        pressure: volume the mass pushes aside, as a fraction of its own, 0.1 to 0.9.
        seed: of the random fields.
    """

    kind: Kind
    foci: tuple[Focus, ...]
    irregularity: float
    rim_mm: float
    patchiness: float
    enhancing_share: float
    edema_ml: float
    spread_mm: float
    cortex_sparing: float
    pressure: float
    seed: int


def draw_tumor(generator: torch.Generator, anatomy: Anatomy, variety: float = 1.0, kind: Kind | None = None) -> Tumor:
    """A random tumor for that anatomy.

    Args:
        generator: source of randomness.
        anatomy: decides where a tumor may sit; a coarse one will do.
        variety: above 1 widens the ranges.
        kind: draws only tumors of this kind; any when left out.
    """
    shares = torch.tensor(list(KIND_SHARES.values()))
    drawn = list(KIND_SHARES)[int(torch.multinomial(shares, 1, generator=generator))]
    kind = kind or drawn
    lesions = 0 if kind is Kind.HEALTHY else 1 + chance(generator, 0.14) + 2 * chance(generator, 0.05)
    # From 4 to 34 mm, mostly large: half of the whole tumors fill 25 to 100 ml, and few are as small as 10 ml.
    radius = 4 * 8.5 ** (uniform(generator, 0.0, 1.0) ** 0.6)
    foci: list[Focus] = []
    for i in range(lesions):
        r = radius if i == 0 else radius * uniform(generator, 0.3, 0.8)
        z, y, x = (max(2.5, r * uniform(generator, 1 - 0.3 * variety, 1 + 0.3 * variety)) for _ in range(3))
        near = foci[0].center_mm if foci and chance(generator, 0.6) else None
        foci.append(Focus(_draw_center(generator, anatomy, near, radius), (z, y, x)))
    return Tumor(
        kind=kind,
        foci=tuple(foci),
        irregularity=uniform(generator, 0.12, 0.4) * variety,
        rim_mm=1.5 * 5.3 ** uniform(generator, 0.0, 1.0),
        patchiness=uniform(generator, 0.2, 0.9) if chance(generator, 0.45) else uniform(generator, 0.0, 0.2),
        enhancing_share=uniform(generator, 0.05, 0.6),
        edema_ml=_draw_edema_ml(generator, kind, radius),
        # Infiltration without a core is called diffuse because it reaches far.
        spread_mm=uniform(generator, 20 if kind is Kind.INFILTRATIVE else 6, 30),
        cortex_sparing=uniform(generator, 0.0, 0.8),
        pressure=uniform(generator, 0.1, 0.9),
        seed=fresh_seed(generator),
    )


def _draw_edema_ml(generator: torch.Generator, kind: Kind, radius_mm: float) -> float:
    """Low-grade cores may have next to none, small high-grade ones often a lot; without a core it is the tumor."""
    core_ml = 4.19e-3 * radius_mm**3
    least, relative, more = (uniform(generator, 0.0, 1.0) for _ in range(3))
    bare = chance(generator, 0.25)
    if kind is Kind.INFILTRATIVE:
        return 10 + 30 * least + 110 * more**2
    if bare:  # TC/WT is above .78 in 3 of 15 real patients, whose cores reach the surface
        return 0.3 + (0.03 + 0.25 * relative) * core_ml
    return 1 + 14 * least + 1.5 * core_ml * relative + 100 * more**2.5


def _draw_center(
    generator: torch.Generator, anatomy: Anatomy, near: tuple[float, float, float] | None, radius_mm: float
) -> tuple[float, float, float]:
    """A random place in the brain, mostly white matter; within a few radii of ``near`` where that is given."""
    # Gray matter counts, too: small tumors sit in the cortex, large ones reach it anyway.
    weight = anatomy.white + 0.5 * anatomy.gray
    z, y, x = anatomy.lattice.positions()
    if near is not None:
        squared = (z - near[0]) ** 2 + (y - near[1]) ** 2 + (x - near[2]) ** 2
        weight = weight * (squared < (3 * radius_mm + 10) ** 2) * (squared > (radius_mm + 5) ** 2)
        if float(weight.sum()) == 0:
            return near
    # Cerebellum and brain stem (the lowest part) are rare places in adults.
    weight = weight * torch.where(z < 45, 0.3, 1.0)
    index = int(torch.multinomial(weight.flatten().double(), 1, generator=generator))
    d, h, w = torch.unravel_index(torch.tensor(index), weight.shape)
    return float(z[d, 0, 0]), float(y[0, h, 0]), float(x[0, 0, w])

"""Random gliomas: subtype, position, size and composition."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from tokenunet.synthesis.anatomy import Anatomy
from tokenunet.synthesis.fields import chance, fresh_seed, uniform


class Kind(StrEnum):
    """Subtype of a glioma by the composition of its core."""

    RING = "ring"
    """Enhancing rim around necrosis, as in most glioblastomas."""
    SOLID = "solid"
    """Almost completely enhancing core."""
    NODULAR = "nodular"
    """Non-enhancing mass with enhancing parts."""
    NON_ENHANCING = "non_enhancing"
    """Core without enhancement, as in most low-grade gliomas."""
    INFILTRATIVE = "infiltrative"
    """Edema or infiltration without a core."""
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
"""Share of patients by subtype."""


@dataclass(frozen=True)
class Focus:
    """Core of one lesion: an ellipsoid, made irregular by noise.

    Attributes:
        center_mm: Center (z, y, x) in the field of view, in mm.
        radii_mm: Half axes along (z, y, x), in mm.
    """

    center_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]

    @property
    def radius_mm(self) -> float:
        """Mean half axis, in mm."""
        return sum(self.radii_mm) / 3

    def distance(self, positions: list[Tensor]) -> Tensor:
        """Compute the distance from the center relative to the half axes, which is 1 on the ellipsoid's surface.

        Args:
            positions: Positions in the field of view in mm, as broadcastable tensors for z, y and x.
        """
        z, y, x = ((p - c) / r for p, c, r in zip(positions, self.center_mm, self.radii_mm, strict=True))
        return (z**2 + y**2 + x**2).sqrt()


@dataclass(frozen=True)
class Tumor:
    """Parameters of the shape of one patient's tumor.

    Attributes:
        kind: Subtype of the tumor.
        foci: Cores of the lesions, the largest first; empty for a healthy brain.
        irregularity: Amplitude of the noise on the core's boundary, relative to its radius.
        rim_mm: Thickness of the enhancing rim in mm, 1.5 to 8, uniform in its logarithm.
        patchiness: Amount of enhancement that is missing in patches, 0 to 0.9; above 0.2 in 45 %.
        enhancing_share: Enhancing share of the core of nodular tumors, 0.05 to 0.6.
        edema_ml: Target volume of edema in ml; the anatomy may offer less room.
        spread_mm: Distance that infiltration reaches along white matter, in mm.
        cortex_sparing: Reduction of edema in gray matter relative to white matter, 0 to 0.8.
        pressure: Displaced volume as a fraction of the core's, 0.1 to 0.9.
        seed: Seed of the random fields.
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


def draw_tumor(
    generator: torch.Generator, anatomy: Anatomy, randomization: float = 1.0, kind: Kind | None = None
) -> Tumor:
    """Draw a random tumor.

    Args:
        generator: Source of randomness.
        anatomy: Anatomy that determines possible positions; a coarse lattice is sufficient.
        randomization: Factor on the irregularity and on the elongation of the lesions.
        kind: Subtype of the tumor; None draws one.
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
        z, y, x = (max(2.5, r * uniform(generator, 1 - 0.3 * randomization, 1 + 0.3 * randomization)) for _ in range(3))
        near = foci[0].center_mm if foci and chance(generator, 0.6) else None
        foci.append(Focus(_draw_center(generator, anatomy, near, radius), (z, y, x)))
    return Tumor(
        kind=kind,
        foci=tuple(foci),
        irregularity=uniform(generator, 0.12, 0.4) * randomization,
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
    """Draw the edema's volume: almost none around some cores, a lot around some small ones, all if there is no core."""
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
    """Draw a position in the brain, mostly in white matter, within a few radii of ``near`` if that is given."""
    # Gray matter has a weight, too: small tumors are in the cortex, large ones reach it anyway.
    weight = anatomy.white + 0.5 * anatomy.gray
    z, y, x = anatomy.lattice.positions()
    if near is not None:
        squared = (z - near[0]) ** 2 + (y - near[1]) ** 2 + (x - near[2]) ** 2
        weight = weight * (squared < (3 * radius_mm + 10) ** 2) * (squared > (radius_mm + 5) ** 2)
        if float(weight.sum()) == 0:
            return near
    # Cerebellum and brain stem (the lowest part) are rare positions in adults.
    weight = weight * torch.where(z < 45, 0.3, 1.0)
    index = int(torch.multinomial(weight.flatten().double(), 1, generator=generator))
    d, h, w = torch.unravel_index(torch.tensor(index), weight.shape)
    return float(z[d, 0, 0]), float(y[0, h, 0]), float(x[0, 0, w])

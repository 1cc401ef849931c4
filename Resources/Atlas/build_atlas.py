"""Build the atlas next to this file: two brains as small uint8 maps, from which synthetic patients are generated.

    python build_atlas.py [--nilearn SITE_PACKAGES/nilearn] [--colin27 ch2bet.nii.gz] [--head ch2.nii.gz]

``icbm152`` comes from the PyPI package ``nilearn`` (ICBM 152 2009a symmetric, 1 mm), ``colin27`` from the files
``ch2bet.nii.gz`` and ``ch2.nii.gz`` (with the head) in Debian's package ``mricron-data``. Neither is needed to use the
atlas.

Each folder holds, on one LPS grid at 1 mm cropped to the brain:
    t1.nii.gz          T1-weighted intensity, 255 = the 99.8th percentile
    gray.nii.gz        probability of gray matter, 255 = 1
    white.nii.gz       probability of white matter, 255 = 1; what is left of the brain is cerebrospinal fluid
    ventricles.nii.gz  1 in the ventricles and deep cisterns
The brain is where t1 > 0.

``colin27/head.nii.gz`` shows the whole head, on a grid of its own: `HEAD_LABELS`, from which brain extraction learns.
"""

import argparse
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
MARGIN = 2
LEVELS = 31
"""Gray levels kept: a compressed file of half the size, and far finer than the noise of any drawn image."""

# Colin27 has no tissue maps of its own. Its T1 histogram peaks at 84 (gray) and 110 (white); fluid is below 45.
COLIN27_FLUID, COLIN27_GRAY, COLIN27_WHITE = 44.0, 80.0, 108.0
DEEP_MM = 25.0
"""Fluid deeper than this under the brain's surface counts as ventricle."""

HEAD_LABELS = (
    "background",
    "air",
    "bone",
    "marrow",
    "muscle",
    "fat",
    "skin",
    "eye",
    "outer fluid",
    "fluid",
    "gray matter",
    "white matter",
    "cord",
)
"""Of the values 0, 1, ... in the head's map. The brain is fluid, gray and white matter."""
# Colin27's T1 with the head: air below 8, bone and fluid below 36, muscle below 100, fat and marrow above.
HEAD_AIR, HEAD_DARK, HEAD_BRIGHT = 8.0, 36.0, 100.0
EYES_LPS_MM, EYE_RADIUS_MM = ((-35.0, -63.0, -36.0), (35.0, -63.0, -36.0)), 13.0
FORAMEN_MAGNUM_MM = -60.0
"""Height below which the brain stem is called spinal cord."""


def quantized(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return values from 0 to 1 as uint8 with few levels."""
    return np.round(np.round(np.clip(values, 0, 1) * LEVELS) * (255 / LEVELS)).astype(np.uint8)


def ramp(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.floating]:
    """Return a linear ramp: 0 below ``low``, 1 above ``high``."""
    return np.clip((values - low) / (high - low), 0, 1)


def largest_component(mask: sitk.Image) -> sitk.Image:
    """Return the largest connected component of a mask."""
    return sitk.RelabelComponent(sitk.ConnectedComponent(mask)) == 1


def oriented(path: Path) -> sitk.Image:
    """Read an image in LPS orientation."""
    return sitk.DICOMOrient(sitk.ReadImage(str(path), sitk.sitkFloat32), "LPS")


def tissues_of_colin27(t1: sitk.Image) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the probabilities of gray and white matter from intensities, by the valleys of the histogram."""
    values = sitk.GetArrayFromImage(sitk.CurvatureFlow(t1, 0.05, 3))
    brain = sitk.GetArrayFromImage(t1) > 0
    tissue = ramp(values, COLIN27_FLUID, COLIN27_GRAY)
    middle = (COLIN27_GRAY + COLIN27_WHITE) / 2
    white = ramp(values, middle - 6, middle + 6)
    return brain * tissue * (1 - white), brain * tissue * white


def write_anatomy(
    name: str, t1: sitk.Image, gray: NDArray[np.floating], white: NDArray[np.floating], sulcus_mm: int, fluid_mm: int
) -> None:
    """Write the four maps of one anatomy.

    Args:
        name: Name of the folder.
        t1: Skull-stripped T1, zero outside the brain.
        gray: Probability of gray matter on the grid of ``t1``.
        white: Probability of white matter on the same grid.
        sulcus_mm: Half the width of the gaps closed in the mask in mm, so that sulci count as brain.
        fluid_mm: Width of the added fluid in mm, which stripped scans contain and the templates lack.
    """
    closed = sitk.BinaryMorphologicalClosing(largest_component(t1 > 0), [sulcus_mm] * 3)
    brain_image = sitk.BinaryFillhole(sitk.BinaryDilate(closed, [fluid_mm] * 3))
    brain = sitk.GetArrayFromImage(brain_image).astype(bool)
    depth = sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(brain_image, insideIsPositive=True, squaredDistance=False)
    )
    fluid = brain & (gray + white < 0.5)
    deep = sitk.GetImageFromArray((fluid & (depth > DEEP_MM)).astype(np.uint8))
    # Single voxels of fluid deep in a sulcus are not ventricle.
    ventricles = sitk.GetArrayFromImage(sitk.BinaryMorphologicalOpening(deep, [1, 1, 1]))

    values = sitk.GetArrayFromImage(t1)
    bright = np.percentile(values[brain], 99.8)
    shades = np.where(brain, np.maximum(quantized(values / bright), 1), 0)

    corners = [(int(w.min()) - MARGIN, int(w.max()) + MARGIN + 1) for w in np.nonzero(brain)]
    corners = [(max(a, 0), min(b, n)) for (a, b), n in zip(corners, brain.shape, strict=True)]
    box = tuple(slice(a, b) for a, b in corners)
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    maps = {"t1": shades, "gray": quantized(gray * brain), "white": quantized(white * brain), "ventricles": ventricles}
    for file_name, array in maps.items():
        image = sitk.GetImageFromArray(np.ascontiguousarray(array[box]).astype(np.uint8))
        image.SetSpacing(t1.GetSpacing())
        image.SetDirection(t1.GetDirection())
        image.SetOrigin(t1.TransformIndexToPhysicalPoint([a for a, _ in reversed(corners)]))
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(folder / f"{file_name}.nii.gz"))
        writer.SetUseCompression(True)
        writer.SetCompressionLevel(9)
        writer.Execute(image)


def write_head(name: str, t1: sitk.Image, bet: sitk.Image) -> None:
    """Write the label map of a head.

    Args:
        name: Name of the folder.
        t1: T1 of the whole head.
        bet: Skull-stripped T1.
    """
    to_array, from_array = sitk.GetArrayFromImage, sitk.GetImageFromArray
    # Remove stray lines of the stripped brain, fill its sulci, and add the fluid that stripped scans contain.
    opened = largest_component(sitk.BinaryMorphologicalOpening(bet > 0, [2] * 3))
    hull = sitk.BinaryDilate(sitk.BinaryFillhole(sitk.BinaryMorphologicalClosing(opened, [6] * 3)), [1] * 3)
    values = to_array(sitk.CurvatureFlow(t1, 0.05, 3))
    brain = to_array(hull).astype(bool) & ((to_array(opened) > 0) | (values < HEAD_BRIGHT))
    head = closed_head(values)
    outside_mm = distance_mm(brain)
    depth_mm = -distance_mm(head)
    positions = [t1.TransformIndexToPhysicalPoint(i) for i in ((0, 0, 0), (1, 1, 1))]
    z, y, x = (o + n for o, n in zip(reversed(positions[0]), np.ogrid[tuple(map(slice, head.shape))], strict=True))

    dark, bright = values < HEAD_DARK, values >= HEAD_BRIGHT
    below_brain = (z < -10) & (y < 30)
    caverns = to_array(
        sitk.BinaryMorphologicalOpening(from_array((head & dark & below_brain).astype(np.uint8)), [4] * 3)
    )
    near_fluid = (outside_mm <= 5) & ~dark & (values < 70)
    marrow = ~dark & (outside_mm <= 9) & (depth_mm > 7) & ~near_fluid
    labels = np.select(
        [caverns > 0, near_fluid, marrow, dark & (depth_mm > 4), depth_mm <= 2, bright],
        [1, 8, 3, 2, 6, 5],
        default=4,
    )
    for ex, ey, ez in EYES_LPS_MM:
        inside = np.sqrt((z - ez) ** 2 + (y - ey) ** 2 + (x - ex) ** 2) < EYE_RADIUS_MM
        labels[inside & (values < HEAD_BRIGHT - 20)] = 7
    tissue = np.digitize(values, [(COLIN27_FLUID + COLIN27_GRAY) / 2, (COLIN27_GRAY + COLIN27_WHITE) / 2]) + 9
    tissue = np.where(np.broadcast_to(z < FORAMEN_MAGNUM_MM, tissue.shape), np.where(tissue == 9, 8, 12), tissue)
    labels = np.where(brain, tissue, labels * head)
    image = from_array(labels.astype(np.uint8))
    image.CopyInformation(t1)
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(HERE / name / "head.nii.gz"))
    writer.SetUseCompression(True)
    writer.SetCompressionLevel(9)
    writer.Execute(image)


def closed_head(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return the head without holes; its cut faces count as closed."""
    head = largest_component(sitk.GetImageFromArray((values >= HEAD_AIR).astype(np.uint8)))
    closed = sitk.BinaryMorphologicalClosing(head, [4] * 3)
    # Slice by slice, for the airways open to the front and below.
    slices = [sitk.BinaryFillhole(closed[:, :, i]) for i in range(closed.GetDepth())]
    return sitk.GetArrayFromImage(sitk.JoinSeries(slices)).astype(bool)


def distance_mm(mask: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Return the distance from a mask with voxels of 1 mm, negative inside."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    return sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, squaredDistance=False))


def main() -> None:
    """Build the atlas from the given files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nilearn", type=Path, help="folder of the installed package nilearn")
    parser.add_argument("--colin27", type=Path, help="ch2bet.nii.gz from Debian's mricron-data")
    parser.add_argument("--head", type=Path, help="ch2.nii.gz from the same place; needs --colin27")
    arguments = parser.parse_args()

    if arguments.nilearn:
        data = arguments.nilearn / "datasets" / "data"
        t1, gray, white = (
            oriented(data / f"mni_icbm152_{n}_tal_nlin_sym_09a_converted.nii.gz") for n in ("t1", "gm", "wm")
        )
        to_array = sitk.GetArrayFromImage
        write_anatomy("icbm152", t1, to_array(gray) / 255, to_array(white) / 255, sulcus_mm=3, fluid_mm=2)
    if arguments.colin27:
        t1 = oriented(arguments.colin27)
        write_anatomy("colin27", t1, *tissues_of_colin27(t1), sulcus_mm=6, fluid_mm=1)
    if arguments.head:
        write_head("colin27", oriented(arguments.head), oriented(arguments.colin27))


if __name__ == "__main__":
    main()

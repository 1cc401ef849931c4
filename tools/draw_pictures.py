"""Tile the pictures of a `tokenunet demo` folder for README.md and docs/.

Usage: python tools/draw_pictures.py DEMO_FOLDER OUTPUT_FOLDER
"""

import sys
from pathlib import Path

import SimpleITK as sitk

SLICES = ("slice_axial", "slice_coronal", "slice_sagittal", "surface")
ATTENTION_MAPS = tuple(f"token_learner_{number}" for number in range(1, 9))


def tiled(pictures: Path, names: tuple[str, ...], columns: int) -> sitk.Image:
    """Return the pictures next to each other, each at half its width and height."""
    images = [sitk.BinShrink(sitk.ReadImage(pictures / f"{name}.png"), (2, 2)) for name in names]
    smallest = [min(image.GetSize()[axis] for image in images) for axis in (0, 1)]
    centered = []
    for image in images:
        start = [(size - width) // 2 for size, width in zip(image.GetSize(), smallest, strict=True)]
        centered.append(sitk.RegionOfInterest(image, smallest, start))
    return sitk.Tile(centered, (columns, 0))


def main(demo: Path, output: Path) -> None:
    """Write ``segmentation.png`` and ``attention_maps.png``."""
    for name, pictures, columns in (("segmentation", SLICES, 2), ("attention_maps", ATTENTION_MAPS, 4)):
        sitk.WriteImage(tiled(demo / "pictures", pictures, columns), output / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Puts the pictures of a `tokenunet demo` folder together for the README: python draw.py DEMO_FOLDER"""

import sys
from pathlib import Path

import SimpleITK as sitk

HERE = Path(__file__).parent
SLICES = ("slice_axial", "slice_coronal", "slice_sagittal", "surface")
MASKS = tuple(f"token_learner_{number}" for number in range(1, 9))


def tiled(pictures: Path, names: tuple[str, ...], columns: int) -> sitk.Image:
    """The pictures side by side, each half as wide and high as it was drawn."""
    images = [sitk.BinShrink(sitk.ReadImage(pictures / f"{name}.png"), (2, 2)) for name in names]
    smallest = [min(image.GetSize()[axis] for image in images) for axis in (0, 1)]
    centerd = []
    for image in images:
        start = [(size - width) // 2 for size, width in zip(image.GetSize(), smallest, strict=True)]
        centerd.append(sitk.RegionOfInterest(image, smallest, start))
    return sitk.Tile(centerd, (columns, 0))


def main(demo: Path) -> None:
    for name, pictures, columns in (("segmentation", SLICES, 2), ("masks", MASKS, 4)):
        sitk.WriteImage(tiled(demo / "pictures", pictures, columns), HERE / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

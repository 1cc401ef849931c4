"""Files of synthetic patients, in the layout and orientation of BraTS."""

import math
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.io.files import staging_folder
from tokenunet.synthesis.anatomy import BOX_START_MM
from tokenunet.synthesis.patient import SyntheticPatient

FIELD_OF_VIEW_MM = (155, 240, 240)
"""Size of BraTS's images along (z, y, x), in mm."""
ORIGIN_MM = (0.0, -239.0, 0.0)
"""Origin of BraTS's images in LPS, (x, y, z): center of the first voxel at 1 mm."""


def patient_name(seed: int) -> str:
    """Return the name of a patient's folder and files.

    Example:
        >>> from tokenunet.synthesis import patient_name
        >>> patient_name(7)
        'synthetic_00007'
    """
    return f"synthetic_{seed:05d}"


def in_field_of_view(patient: SyntheticPatient, box: NDArray) -> sitk.Image:
    """Embed the patient's box in BraTS's field of view, 240 x 240 x 155 voxels at 1 mm.

    Args:
        patient: Patient, whose spacing is used.
        box: Image or labels of the patient, (D, H, W).
    """
    spacing = patient.spacing
    field = np.zeros([math.ceil(size / spacing) for size in FIELD_OF_VIEW_MM], box.dtype)
    starts = [round(start / spacing) for start in BOX_START_MM]
    field[tuple(slice(s, s + n) for s, n in zip(starts, box.shape, strict=True))] = box
    image = sitk.GetImageFromArray(field)
    image.SetSpacing([spacing] * 3)
    image.SetOrigin([o + (spacing - 1) / 2 for o in ORIGIN_MM])
    return image


def write_patient(patient: SyntheticPatient, folder: Path) -> Path:
    """Write ``<name>/<name>_t1.nii.gz``, ``_t1ce``, ``_t2``, ``_flair`` and ``_seg`` into a folder.

    An earlier patient of the same name is replaced.

    Args:
        patient: Patient to write.
        folder: Folder of the patients.

    Returns:
        Folder of the patient.

    Raises:
        OutputError: If the folder cannot be written.
    """
    name = patient_name(patient.seed)
    with staging_folder(folder) as staging:
        (staging / name).mkdir()
        for sequence, box in patient.images.items():
            image = in_field_of_view(patient, box.astype(np.int16))
            sitk.WriteImage(image, str(staging / name / f"{name}_{sequence.lower()}.nii.gz"))
        sitk.WriteImage(in_field_of_view(patient, patient.labels), str(staging / name / f"{name}_seg.nii.gz"))
    return folder / name

"""Cache of prepared cases: read, aligned, normalized and cropped once, then memory-mapped."""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray

from tokenunet.core.model_space import ModelSpace
from tokenunet.core.regions import regions_from_labels
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.data.cases import Case, read_scans, read_truth
from tokenunet.inference.crop import BrainCrop
from tokenunet.io.files import staging_folder
from tokenunet.preprocessing import prepare

_PREPARING_AT_ONCE = 4
"""Number of threads; a case takes about half a GB while it is being prepared."""
_SIZE_MULTIPLE = 32
"""Size multiple of the brain crop, so that every architecture accepts it."""


@dataclass(frozen=True)
class CachedCase:
    """Prepared case in the cache.

    Attributes:
        name: Name of the case.
        folder: Folder with ``image.npy`` and ``labels.npy``.
    """

    name: str
    folder: Path

    def image(self) -> NDArray[np.float16]:
        """Return the memory-mapped image (C, D, H, W) in the order of the channels: z-scores, 0 outside."""
        return np.load(self.folder / "image.npy", mmap_mode="r", allow_pickle=False)

    def labels(self) -> NDArray[np.uint8]:
        """Return the memory-mapped exclusive labels (D, H, W)."""
        return np.load(self.folder / "labels.npy", mmap_mode="r", allow_pickle=False)

    def regions(self) -> NDArray[np.bool_]:
        """Return the regions (3, D, H, W) in the order of `REGIONS`."""
        return regions_from_labels(self.labels())


def cached_cases(
    cases: Sequence[Case],
    spacing: float,
    folder: Path,
    on_case: Callable[[int], None],
    channels: tuple[SequenceName, ...] = SEQUENCES,
) -> dict[str, CachedCase]:
    """Prepare the cases that are not in the cache yet.

    Args:
        cases: Cases of a checked dataset.
        spacing: Voxel size of the prepared cases in mm.
        folder: Folder of the cache, for all spacings.
        on_case: Callback that receives the number of cases ready; may raise to stop.
        channels: Sequences of the images, in their order.

    Returns:
        Prepared cases by name.

    Raises:
        InputError: If a case cannot be read.
        OutputError: If the cache cannot be written.
    """
    place = folder / f"{spacing:g}mm"
    ready = {case.name: CachedCase(case.name, place / case.name) for case in cases}
    missing = [case for case in cases if not (ready[case.name].folder / "case.json").exists()]
    done = len(cases) - len(missing)
    on_case(done)
    with ThreadPoolExecutor(min(_PREPARING_AT_ONCE, os.cpu_count() or 1)) as pool:
        try:
            for _ in pool.map(lambda case: _prepare_case(case, spacing, ready[case.name].folder, channels), missing):
                done += 1
                on_case(done)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return ready


def _prepare_case(case: Case, spacing: float, folder: Path, channels: tuple[SequenceName, ...]) -> None:
    prepared = prepare(read_scans(case, channels), ModelSpace(channels, (spacing,) * 3, "LPS"))
    truth = sitk.DICOMOrient(read_truth(case), "LPS")
    labels = sitk.GetArrayFromImage(prepared.grid.resample(truth, sitk.sitkNearestNeighbor))
    view = BrainCrop.of_brain(prepared.brain, _SIZE_MULTIPLE)
    with staging_folder(folder, last="case.json") as staging:
        np.save(staging / "image.npy", view.cut(prepared.tensor).numpy().astype(np.float16))
        np.save(staging / "labels.npy", view.cut(torch.from_numpy(labels)).numpy())
        (staging / "case.json").write_text(json.dumps({"case": case.name, "spacing": spacing, "size": view.size}))

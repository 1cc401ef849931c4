"""Search for the ground truth among the files of a patient's folder."""

import re
from collections.abc import Sequence
from pathlib import Path

from tokenunet.core.errors import AmbiguousSequenceError

_WORDS = {
    *("seg", "segm", "segs", "segmentation", "segmentations", "segmented", "dseg", "truth", "groundtruth", "gt"),
    *("label", "labels", "labelmap", "annotation", "annotations", "glistrboost"),
    *("tumormask", "tumourmask", "tumorseg", "tumourseg", "lesionmask", "lesionseg"),
}
_MASK_WORDS = {"mask", "masks", "roi", "rois"}
"""Words that may mean the mask of anything, so that a word for the tumor is required, too."""
_TUMOR = re.compile(r"tumou?r|lesion")
_BY_HAND = {"manual", "manually", "manuallycorrected", "corrected"}
_OF_SOMETHING_ELSE = {
    *("brain", "brainmask", "parenchyma", "skull", "head", "tissue", "tissues", "anatomy", "aseg", "aparc", "synthseg"),
    *("parcellation", "ventricles", "prediction", "predictions", "pred", "predicted", "probseg"),
}


def find_ground_truth(folder: Path, images: Sequence[Path]) -> tuple[Path | None, list[Path]]:
    """Select the ground truth by the names of files.

    Segmentations of other structures, such as the brain, are never selected. Among several candidates, one whose name
    contains a word for the tumor is preferred, then one that was corrected by hand.

    Args:
        folder: Folder of the patient, for messages.
        images: Image files in it.

    Returns:
        The ground truth, or None if there is none, and the other segmentations.

    Raises:
        AmbiguousSequenceError: If several files match equally well.
    """
    claims = {path: _claim(path) for path in images}
    best = max(claims.values(), default=0)
    chosen = [path for path in images if best and claims[path] == best]
    if len(chosen) > 1:
        raise AmbiguousSequenceError(
            f"{chosen[0].name} and {chosen[1].name} in {folder} both look like the ground truth."
        )
    others = [path for path in images if path not in chosen and _words(path) & (_WORDS | _MASK_WORDS)]
    return chosen[0] if chosen else None, others


def _claim(path: Path) -> int:
    """Score a name as that of a ground truth; 0 if it is not a candidate."""
    words = _words(path)
    tumor = any(_TUMOR.search(word) for word in words)
    if words & _OF_SOMETHING_ELSE or not (words & _WORDS or (tumor and words & _MASK_WORDS)):
        return 0
    return 1 + 2 * tumor + bool(words & _BY_HAND)


def _words(path: Path) -> set[str]:
    stem = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", path.name)
    return set(re.split(r"[^a-z0-9]+", stem.lower())) | set(re.split(r"[^a-z0-9]+", path.name.lower()))

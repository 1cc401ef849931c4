"""Regions that are marked only where the network is sure of some place in them.

Where lesions of another kind, or artifacts, are taken for tumor, or faint spots for enhancing tumor, the network is
nowhere as sure as it is inside what really is there. What lacks this evidence is not marked: a warning says so, and
enough probability is left for it to become a review candidate.
"""

from collections.abc import Iterator, Mapping
from math import ceil, prod

from torch import Tensor

from tokenunet.bundle.manifest import ModelManifest
from tokenunet.core.findings import Finding
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.inference.core_reach import DOUBTFUL
from tokenunet.inference.second_pass import LEAST_ML, marked_ml

EVIDENCE_ML = 0.1
"""Volume in which a region's logit is highest, where its mean is the evidence."""

UNMARKED_CODES = ("weak_tumor", "weak_enhancing_tumor", "found_by_second_pass")
"""Codes of the warnings that something which may be there is not marked."""


def found_evidence(first: Tensor, logits: Tensor, brain: Tensor, manifest: ModelManifest) -> dict[RegionName, float]:
    """Return the evidence of the regions that were found, of those of which the manifest asks some.

    Args:
        first: Logits of one patient's first pass on the CPU, (1, R, D, H, W).
        logits: Logits after all passes, of the same shape.
        brain: Whether a voxel is in the brain, (1, D, H, W).
        manifest: Manifest of the model that made them.
    """
    count = ceil(EVIDENCE_ML * 1000 / prod(manifest.spacing))
    return {
        region: float(first[:, manifest.regions.index(region)][brain].topk(count).values.float().mean())
        for region in manifest.least_evidence
        if marked_ml(logits, region, brain, manifest) >= LEAST_ML
    }


def without_weak_regions(
    logits: Tensor, evidence: Mapping[RegionName, float], brain: Tensor, manifest: ModelManifest
) -> tuple[Tensor, dict[RegionName, float]]:
    """Return the logits, lowered in regions with too little evidence and in what these contain.

    Args:
        logits: Logits after all passes, (1, R, D, H, W).
        evidence: Evidence of the regions that were found.
        brain: Whether a voxel is in the brain, (1, D, H, W).
        manifest: Manifest of the model that made them.

    Returns:
        The logits, and the volume in ml of each region that is therefore not marked.
    """
    weak = [region for region, value in evidence.items() if value < manifest.least_evidence[region]]
    result = logits.clone()
    for region in weak:
        inner = [manifest.regions.index(r) for r in REGIONS[REGIONS.index(region) :]]
        result[:, inner] = result[:, inner].clamp(max=DOUBTFUL)
    return result, {region: marked_ml(logits, region, brain, manifest) for region in weak}


def evidence_findings(prediction: Prediction, manifest: ModelManifest) -> Iterator[Finding]:
    """Warn of regions that are not marked for lack of evidence, and of a tumor with less evidence than usual.

    Args:
        prediction: Prediction of one patient.
        manifest: Manifest of the model that made it.
    """
    unmarked, usual = prediction.unmarked_ml, manifest.usual_evidence
    if "WT" in unmarked:
        yield Finding(
            "weak_tumor",
            f"No tumor is marked: {unmarked['WT']:.1f} ml look like one, but the network is nowhere as sure as it is "
            "of tumors. Look through the scans and at the review candidates: it may be a faint or small tumor.",
        )
        return
    if "ET" in unmarked:
        yield Finding(
            "weak_enhancing_tumor",
            f"No enhancing tumor is marked: {unmarked['ET']:.1f} ml look like it, but the network is nowhere as sure "
            "as it is of enhancing tumor. Look at the core in T1ce.",
        )
    if usual is not None and prediction.evidence.get("WT", usual) < usual:
        yield Finding(
            "perhaps_no_tumor",
            "Perhaps this is no tumor: the network is less sure of it than of most tumors. Look through the scans for "
            "another lesion or an artifact.",
        )

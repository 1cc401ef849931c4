"""Review candidates: regions outside the segmentation where attention maps are as high as in the tumor."""

from tokenunet.review.candidates import Basis, ReviewCandidate, ReviewCandidates, find_review_candidates, review_steps
from tokenunet.review.selectivity import MapLevels, levels_from_notes

__all__ = [
    "Basis",
    "MapLevels",
    "ReviewCandidate",
    "ReviewCandidates",
    "find_review_candidates",
    "levels_from_notes",
    "review_steps",
]

"""Review hints: places where the attention masks are as in the tumor, but that are not in the segmentation."""

from tokenunet.review.following import MapLevels, levels_from_notes
from tokenunet.review.hints import Basis, ReviewHint, ReviewHints, find_review_hints, review_steps

__all__ = ["Basis", "MapLevels", "ReviewHint", "ReviewHints", "find_review_hints", "levels_from_notes", "review_steps"]

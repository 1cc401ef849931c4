"""Running a model on a patient.

`segment` does all from files to files; `predict` runs the network on a prepared patient.
"""

from tokenunet.inference.output import LABELS_FILE, check_output
from tokenunet.inference.pipeline import SegmentationRequest, segment
from tokenunet.inference.predict import InferenceOptions, predict

__all__ = ["LABELS_FILE", "InferenceOptions", "SegmentationRequest", "check_output", "predict", "segment"]

"""Token-UNet brain-tumor segmentation: networks, model bundles, preprocessing, inference and synthetic patients.

One patient goes ``Study`` -> `prepare` -> ``Prepared`` -> `predict` -> ``Prediction`` -> `restore` -> ``Result``.
Nothing here imports Slicer or Qt.
"""

__version__ = "0.1.0"

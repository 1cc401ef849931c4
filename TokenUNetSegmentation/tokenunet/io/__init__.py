"""Input and output: atomic writing, shipped resources, segmentation formats, HTML pages and figures."""

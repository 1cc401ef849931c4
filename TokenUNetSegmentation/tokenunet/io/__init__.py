"""Files in and out: transactional writing, shipped resources, segmentation formats, HTML pages and figures."""

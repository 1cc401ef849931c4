"""Report of a segmented patient: key slices, measures, HTML page and PDF (the extra ``report``)."""

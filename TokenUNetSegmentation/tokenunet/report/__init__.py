"""Report of a segmented patient: key slices with outlines and numbers (the extra ``report``)."""

"""Results as DICOM objects, and their transfer to an archive (the extra ``dicom``)."""

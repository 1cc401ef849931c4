"""Identification of the sequence that a scan shows: by DICOM tags, names, and image features."""

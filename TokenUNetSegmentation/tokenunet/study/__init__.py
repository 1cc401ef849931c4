"""From a folder to a patient's scans: finding, reading and identifying the sequences."""

"""Search, reading and identification of a patient's scans."""

"""Many patients: one result folder each, a summary table, resumable."""

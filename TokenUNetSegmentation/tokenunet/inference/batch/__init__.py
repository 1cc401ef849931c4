"""Batches of patients: one result folder each, and a summary table; resumable."""

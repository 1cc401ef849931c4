"""Folder of an experiment: folds, splits, metrics, summary and export."""

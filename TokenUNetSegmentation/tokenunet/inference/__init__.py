"""Inference: `pipeline` segments a patient from files to files, `predict` runs the network alone."""

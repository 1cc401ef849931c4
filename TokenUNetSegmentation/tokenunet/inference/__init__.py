"""Running a model on a patient: `pipeline` goes from files to files, `predict` runs the network alone."""

"""Follow-up of one patient: two or more time points, aligned, with lesions matched and changes measured."""

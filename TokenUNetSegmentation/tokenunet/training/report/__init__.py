"""The training report and the paper's figures."""

"""Training report with the paper's figures."""

"""Training loop of one network on one fold."""

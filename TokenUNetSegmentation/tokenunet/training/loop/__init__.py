"""The training loop of one network on one fold."""

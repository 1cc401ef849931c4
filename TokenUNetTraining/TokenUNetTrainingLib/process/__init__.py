"""The training process, which outlives the application."""

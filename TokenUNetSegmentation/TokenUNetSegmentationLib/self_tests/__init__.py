"""Self-tests that run in the application."""

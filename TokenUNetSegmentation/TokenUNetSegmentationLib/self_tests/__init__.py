"""What the module tests of itself in the application."""

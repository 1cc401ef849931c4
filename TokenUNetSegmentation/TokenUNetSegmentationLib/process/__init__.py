"""Worker processes and Python dependencies."""

"""What happened, and where it lies."""

"""Stock tasks: one file, one task."""

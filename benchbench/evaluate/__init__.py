"""Checkpoints on tasks -> results."""

"""A base model: found, read, rendered for, its layers."""

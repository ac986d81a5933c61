"""The line of march from a request to its report."""

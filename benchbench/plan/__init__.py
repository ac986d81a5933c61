"""A request with every default filled in and every sample read; nothing is run yet."""

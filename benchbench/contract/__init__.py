"""All that a plugin says: methods, tasks, models, mixes, and the hooks that bring them."""

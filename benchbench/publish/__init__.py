"""A run on the hub, with a card made of its records."""

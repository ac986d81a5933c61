"""How nano-t5's weights were made, with nano's words; in the repository, and not installed."""

"""How nano's weights and the sample of tasks were made; in the repository, and not installed."""

"""The engine that serves through vLLM."""

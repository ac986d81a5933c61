"""The reference engine: every method, encoder-decoder models, any machine."""

"""Stock methods and base models: one file, one idea."""

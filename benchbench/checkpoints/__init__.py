"""What training leaves and engines serve: a file for each format, export, parity."""

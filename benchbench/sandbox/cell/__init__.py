"""What runs outside our process: a warden, and the programs it confines.

It runs as ``python -S`` from this folder, so it imports the standard library and itself alone.
"""

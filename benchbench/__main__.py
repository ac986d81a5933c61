"""``python -m benchbench`` is the command ``benchbench``."""

from benchbench.cli import main

main()

"""``python -m ratenet`` is the command ``ratenet``."""

from ratenet.cli import main

main()

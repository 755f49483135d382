"""The command line: one file a verb, `main.py` with the only `except ZoomgrError`."""

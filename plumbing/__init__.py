"""Flags, files, logs and progress: everything that knows no geography."""

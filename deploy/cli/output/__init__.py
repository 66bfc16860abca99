"""Prints API responses as tables, JSON, previews and progress bars, or writes them to files."""

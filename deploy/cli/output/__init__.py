"""Answers of the API on a terminal or in a file: tables, lists, previews, progress."""

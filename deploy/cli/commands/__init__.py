"""The commands of `rollcall`, by subject."""

# What is done to the code. `just --list` shows it; CONTRIBUTING.md explains it.

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")

# Show the recipes.
default:
    @just --list

# Lint, format, types, and who may import what.
gates:
    ruff check
    ruff format --check
    basedpyright
    lint-imports

# Format, and mend what ruff can.
fix:
    ruff check --fix
    ruff format

# Run the tests; ARGUMENTS as for ./rollcall test.
test *arguments:
    ./rollcall test {{ arguments }}

# Write the parts of the documents that are made from the code.
docs:
    python -m tests.support.papers

# All that a change has to pass.
ci: gates test

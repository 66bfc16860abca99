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

# The unit tests with the lowest versions that pyproject.toml allows.
floors:
    .ci/floors

# PostgreSQL 15, Kafka 3.7 and the other Pythons that this machine has.
versions:
    .ci/versions

# Go from the code of a commit to this one while imports run, and back: just upgrade COMMIT
upgrade commit *arguments:
    python -m tests.support.upgrade {{ commit }} {{ arguments }}

# Ask whether a version that is installed has a known vulnerability.
advisories:
    .ci/advisories

# Check the image's recipe, the compose file and the chart with tools that are fetched once.
packages:
    .ci/packages

# Write all lock files anew; ARGUMENTS as for uv, as in: just lock --upgrade
lock *arguments:
    .ci/lock {{ arguments }}

# Format, and mend what ruff can.
fix:
    ruff check --fix
    ruff format

# Take mechanisms out of a copy, one after another: a named test fails without each.
mutants *names:
    python -m tests.support.mutants {{ names }}

# Fuzz what reads foreign bytes, each target so long, guided by coverage: just fuzz MINUTES [NAMES]
fuzz minutes *targets:
    .ci/fuzz {{ minutes }} {{ targets }}

# Run the tests; ARGUMENTS as for ./rollcall test.
test *arguments:
    ./rollcall test {{ arguments }}

# Write the parts of the documents that are made from the code.
docs:
    python -m tests.support.papers
    ./rollcall settings --write docs/settings.md

# Check that versions agree, and make wheel, chart, image and bill of materials in dist.
release:
    python -m tests.support.release

# Alert rules and scrape configuration, by promtool.
monitoring:
    .ci/monitoring

# Take a picture of every view of the page: just screenshots FOLDER
screenshots folder *arguments:
    python -m tests.support.page.screenshots {{ folder }} {{ arguments }}

# The page's types, by tsc, and that a TypeScript client made of the OpenAPI document compiles.
typescript:
    .ci/typescript

# The example of an Airflow operator runs in a real Airflow.
airflow:
    .ci/airflow

# All that a change has to pass beside the tests, side by side.
[parallel]
checks: gates floors monitoring packages typescript airflow

# All that a change has to pass.
ci: checks test

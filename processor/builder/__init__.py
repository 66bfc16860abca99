"""The builder process: instances for rebuild, undo, preview and as-of, built beside the live one.

Runs as `python -m processor.builder`.

Owns replay, comparison of two instances, undo and its preview, and the switch's preparation.
Promises that live work goes on, and that nothing is switched that was not proved.
May import every folder below it: `pipeline`, `projection`, `decoding`, `tables`, `kafka`,
`runtime`.
"""

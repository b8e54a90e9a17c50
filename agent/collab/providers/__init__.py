"""Whoever answers a role: a model behind one of three wire formats, or an AI tool behind a spool.

`caller.Caller.ask` chooses by limits and load, calls, waits or falls back, checks the answer, and asks once
to repair it. What it calls is a `base.Provider`: `remote` with one of the wires `openai`, `gemini` and
`anthropic`, or `tool`. `registry` makes them from the definitions of configs/roles.toml, the credentials, and
the servers found on this machine. `standing` holds what all processes of a workspace know of a provider: its
circuit breaker and its latest calls.
"""

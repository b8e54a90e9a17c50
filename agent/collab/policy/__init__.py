"""What a proposed shell command would do, and whether it may run: allow, ask, or deny.

A command line is parsed as bash parses it, each command in it is resolved to a program, what it does and to
what, and the allowlists of policy.toml decide. The strictest part decides for the whole; whatever cannot be
resolved is asked about.
"""

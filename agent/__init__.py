"""aispool: the host agent, the tools it drives, and the command line."""

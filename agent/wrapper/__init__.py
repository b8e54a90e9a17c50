"""The parts of the wrapper (agent/wrap.py). Standard library only: it starts without site-packages."""

"""The agent of one host: it accepts, claims, launches, observes, settles and recovers tasks."""

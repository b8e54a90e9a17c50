"""Several models, one question: a plan, independent answers, a validator, and scores that code computes.

It meets the agent and the collector in files: its run is a task, and its steps lie in that task's folder.
"""

"""Read-only views of a workspace and of this machine, for the command line: nothing here changes a task."""

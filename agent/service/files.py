"""What lies in a task's folder, and reading one file of it, whatever a mirror shows."""

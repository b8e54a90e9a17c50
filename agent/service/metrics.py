"""Figures over time, for plots: series(desk, since, until) -> a documented dict."""

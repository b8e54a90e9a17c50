"""Pieces of pages that more than one place shows, or that need code in the browser."""

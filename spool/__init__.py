"""The workspace protocol on disk: names, records, atomic files, claims and results."""

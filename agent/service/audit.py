"""The audit log: search(desk, ...) -> entries by page, verify(desk) -> whether the chain holds."""

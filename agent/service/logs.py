"""A task's output as it grows.

    log(desk, task_id, host=None) -> LogSource
    LogSource.read(offset, most_bytes=65536) -> (content, next_offset, over)

Offsets count the bytes that the task ever printed: they go on behind a rotation (NAME.log.1) and behind the
move from sessions/ to results/. `over` is True when the task is over and all was read. An offset that is no
longer kept (rotated away) is answered with what begins next. The bytes are the tool's own, escapes and all:
`agent.sanitize` is for terminals, a browser gets text.
"""

"""What the command line, the public API, the web page and the terminal view do: one function each.

It owns nothing. Every action is the file that a person would write by hand; every answer is read from files.
Functions take a `Desk` (a person's own workspace and the mirrors of all hosts), return plain documents or
frozen dataclasses, and raise `ServiceError`, whose message says what, where and what to do.

    errors    ServiceError
    places    Desk, Place, Found: where a task is
    listing   row, task: a task as a document
    files     files, open_file: what lies in a task's folder
    index     Query, Page (query), Index: the list of all tasks, from SQLite; live: Live, which keeps it fresh
    actions   submit, check, cancel, hold, release, retry, answer, approve, decline, edit, pause, unpause
    logs      log, LogSource: a task's output as it grows
    fleet     hosts
    collab    a package: collaborative runs, the chat, proposed commands, labels
    metrics   series
    audit     search, verify
"""

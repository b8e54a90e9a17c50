"""`aispool top`: all tasks of all hosts in one terminal, over SSH and at 80 columns too.

It owns nothing: what it shows comes from `agent.service`, what it does is what the command line does.
Two threads read the disk (`feed`: the list; `tail`: one log) and leave what is newest for the app, so a slow
disk never stops the keys. Nothing that a task named or printed reaches the terminal but as text and colours.

    main       run: checks the terminal, runs the app, leaves the terminal as it was
    app        App: what is on the screen, and the keys
    tasks      TaskTable: the list;    log_pane  LogPane: the end of a log
    dialogs    Ask, Reply, Reader: a question, an answer, a text to read
    rows       Row: one task as the table shows it;    filtering  what a person types as a query
    feed, tail the threads;    attaching  another program has the terminal for a while
"""

"""The web page and the public API: a server over the folder, which owns nothing that is not in the folder.

`context` is what every page and route is given, `app` puts the parts together, `server` decides where it
listens. `security` says who is asking and what they may do, `api` answers under /api/v1, `pages` shows.
Actions are those of `agent.service`: the server may die at any moment, and what it was asked for is either
in the folder or was never acknowledged.
"""

"""The tools: how each is found, what of a task it is given, and where a task's paths may lead.

definition   what a person writes about a tool in tools.toml
registry     the built-in definitions under the person's, and what is refused when a task is accepted
render       a task and a definition become an `Invocation`: arguments, folder, environment
paths        where inputs, working folders and `output` may lie
probe        what is installed here, for `aispool tools` and `aispool doctor`
"""

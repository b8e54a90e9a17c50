"""Who is asking, and what they may do: tokens, sessions, login links, and the gate before every request."""

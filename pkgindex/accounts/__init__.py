"""Who is asking: users, tokens, roles, and what they may do."""

"""Where limits are counted: Redis, memory, and Redis with memory behind it."""

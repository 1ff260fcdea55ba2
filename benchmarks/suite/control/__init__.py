"""The bare control: the least Django that makes our round trip and answers our bytes."""

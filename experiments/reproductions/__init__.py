"""Published results tried again: one command and one page each."""

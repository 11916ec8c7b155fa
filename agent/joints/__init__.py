"""Where the rooms meet: each module joins one of them to the running agent; the rooms need not know each other."""

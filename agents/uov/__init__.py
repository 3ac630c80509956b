"""AIrchitect v2's policy, made well-posed: consistent unified ordinal vectors, exact labels, regret as the score."""

"""Whether a team of independent learners finds better designs than a single one."""

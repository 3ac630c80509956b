"""Examples of what a plug-in package adds to AccelGym."""

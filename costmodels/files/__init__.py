"""Reading strictly and writing whole: every file that this package reads or leaves goes through here.

Readers refuse what could be read in two ways and say where it stands; writers leave a file whole or not at all; what
is stored to be read again carries a checksum.
"""

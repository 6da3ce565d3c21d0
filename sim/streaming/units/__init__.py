"""One file for each kind of unit; a new kind is a new file."""

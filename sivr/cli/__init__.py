"""Commands, one file each: ``add`` describes the arguments, ``run`` does it and returns the exit code."""

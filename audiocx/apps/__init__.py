"""Commands: parse, call, print, exit status."""

"""The command line: `instep`. May use every room; no room imports it."""

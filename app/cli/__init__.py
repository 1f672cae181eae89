"""The command line: `instep`. Above the slices, and known to none of them."""

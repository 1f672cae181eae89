"""Key performance indicators: one file each in `catalogue`, explained down to the rows."""

"""The KPIs, one file each; every module here is discovered, and listed nowhere else."""

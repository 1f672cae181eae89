"""The KPIs, a file each: what stands here is in the catalogue, and nothing lists it anywhere else."""

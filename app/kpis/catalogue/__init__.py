"""The KPIs, one file each. Modules of this package are discovered; no list has to be extended."""

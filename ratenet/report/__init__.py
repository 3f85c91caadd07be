"""Reports: figures from results. Given data in, pictures out; nothing here computes a result."""

"""Merge methods, one file per method or small family; `sparsefmt.merge.registry` lists them."""

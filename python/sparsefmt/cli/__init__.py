"""The command line `sparsefmt`; needs the extra `cli`."""

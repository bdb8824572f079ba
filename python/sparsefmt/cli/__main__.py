"""`python -m sparsefmt.cli`."""

from sparsefmt.cli.main import main

main()

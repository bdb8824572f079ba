"""`python -m sparsefmt`."""

from sparsefmt.cli.main import main

if __name__ == "__main__":
    main()

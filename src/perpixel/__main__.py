"""`python -m perpixel` is the command line."""

from perpixel.cli.main import main

if __name__ == "__main__":
    main()

"""`python -m processor.builder`."""

from processor.builder.main import main

if __name__ == "__main__":
    main()

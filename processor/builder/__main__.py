"""`python -m processor.builder`: runs one builder until SIGTERM."""

from processor.builder.main import main

if __name__ == "__main__":
    main()

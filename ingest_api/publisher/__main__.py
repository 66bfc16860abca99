"""`python -m ingest_api.publisher`."""

from ingest_api.publisher.main import main

if __name__ == "__main__":
    main()

"""``python -m processor``: one worker of the group; runs until SIGTERM."""

from processor.service import main

if __name__ == "__main__":
    main()

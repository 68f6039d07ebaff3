"""Where the frozen executable begins."""

from sivr.__main__ import main

if __name__ == "__main__":
    main()

"""`python -m tui_opt` is the command `optexplore`."""

from tui_opt.cli import main

if __name__ == "__main__":
    main()

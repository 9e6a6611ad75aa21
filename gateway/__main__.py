"""`python -m gateway`: serves, or runs one of the commands for its operator."""

from gateway.commands.command_line import main

if __name__ == "__main__":
    main()

"""Where commands get a password from: standard input, or the terminal without echo."""

from __future__ import annotations

import getpass
import sys
import termios
import warnings

from sivr.errors import Invalid


def from_stdin() -> str:
    """The first line of standard input; raises Invalid when it is empty."""
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise Invalid("There is no password on standard input.")
    return password


def ask(prompt: str, otherwise: str) -> str:
    """What is typed at the terminal; raises Invalid, which says ``otherwise``, when there is none."""
    try:
        with warnings.catch_warnings():
            # It would go on and show on the screen what is typed.
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt)
    except (EOFError, OSError, termios.error, getpass.GetPassWarning) as error:
        raise Invalid(f"There is no terminal to ask for the password: {otherwise}.") from error

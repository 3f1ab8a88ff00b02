"""Commands of `kontrast`, run in this process."""

import sys

import pytest


def call(*words):
    """The exit code of a command."""
    from kontrast import cli

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["kontrast", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    return end.value.code

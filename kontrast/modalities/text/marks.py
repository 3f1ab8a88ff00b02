"""Numbers and strings that mark places in texts."""

END, BETWEEN = -1, -2
"""In place of tokens: after the end; between two texts of a row, or a prompt and its answer."""

TURN = "\n\nAssistant:"
"""Ends the prompt in transcripts such as HH-RLHF."""

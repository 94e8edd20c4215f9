"""What can go wrong with a file to be scored."""


class ScoringError(Exception):
    """The file cannot be scored; the message says where in it, and what would be right."""

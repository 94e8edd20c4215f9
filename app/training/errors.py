"""What a user can get wrong when training."""


class TrainingError(Exception):
    """The data or the options cannot be trained on; the message is one line: what, where, what would be right."""

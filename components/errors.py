"""What other programs say when they fail, for messages of our own."""


def words_of(error: Exception) -> str:
    """The words of a failed lookup or sign-in, on one line; engine and providers break and indent theirs."""
    return " ".join(str(error).split()) or type(error).__name__

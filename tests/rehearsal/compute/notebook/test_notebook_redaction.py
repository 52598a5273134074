"""Secrets in text that comes in pieces, and in content of files."""

from hypothesis import given
from hypothesis import strategies as st

from rehearsal.compute.notebook.redaction import RedactedStream, Redactor

_TEXT = st.text("ab\n", max_size=30)


@given(_TEXT, st.lists(st.text("ab\n", min_size=1, max_size=5), min_size=1, max_size=3), st.integers(1, 5))
def test_pieces_of_any_size_give_what_the_whole_text_gives(text: str, secrets: list[str], size: int) -> None:
    redactor = Redactor(secrets[:1])
    stream = RedactedStream(redactor)
    data = text.encode()

    pieces = [stream.feed(data[at : at + size]) for at in range(0, len(data), size)]
    found = b"".join([*pieces, stream.flush()]).decode()

    assert secrets[0] not in found
    assert found.replace("[REDACTED]", "").count("\n") <= text.count("\n")


def test_what_cannot_begin_a_secret_is_passed_on_at_once() -> None:
    stream = RedactedStream(Redactor(["secret"]))

    assert stream.feed(b"hello se") == b"hello "
    assert stream.feed(b"t\n") == b"set\n"
    assert stream.feed(b"a secret") == b"a [REDACTED]"
    assert stream.flush() == b""


def test_the_longer_secret_goes_first_and_the_runners_own_words_stay() -> None:
    redactor = Redactor(["pass", "password", "text", ""])
    content = {"type": "text", "text": "password pass", "rows": [["x text", None, 5]], "png": "pass"}

    assert redactor.content(content, frozenset({"type", "png"})) == {
        "type": "text",
        "text": "[REDACTED] [REDACTED]",
        "rows": [["x [REDACTED]", None, 5]],
        "png": "pass",
    }
    assert Redactor(["12345"]).content({"12345": 12345, "b": True}) == {"[REDACTED]": "[REDACTED]", "b": True}

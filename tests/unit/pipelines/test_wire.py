"""Refusals that travel through Triton's error messages."""

from pipelines.protocol import Refusal, parse_refusal, refusal


def test_a_refusal_survives_the_words_that_triton_puts_around_it():
    message = refusal(Refusal.IMAGE_UNDECODABLE, "cut short: send all of it")
    wrapped = f"in ensemble 'oral_cancer', Failed to process the request(s): {message}\nand more"
    assert parse_refusal(wrapped) == (Refusal.IMAGE_UNDECODABLE, "cut short: send all of it")


def test_other_messages_are_no_refusals():
    assert parse_refusal("[StatusCode.UNAVAILABLE] Exceeds maximum queue size") is None
    assert parse_refusal("") is None

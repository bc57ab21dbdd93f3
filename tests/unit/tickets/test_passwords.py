"""What is no password: what a stranger would try first."""

from __future__ import annotations

import pytest

from services.tickets.access.passwords import WeakPassword, check_strength

MAIL = "ada.lovelace@shop.example"


@pytest.mark.parametrize(
    "password",
    [
        "fourteen signs",
        "ada.lovelace@shop.example",
        "ADA.LOVELACE@shop.example1",
        "lovelace-shop-ada-1843",
        "andonandonandonandon",
        "Andon-Password-1!",
        "passwortpasswort",
        "111111111111111111",
        "123456789012345",
        "qwertyuiopasdfgh",
        "1q2w3e4r5t6y7u8i",
        "zyxwvutsrqponmlk",
        "letmeinletmeinletmein",
    ],
)
def test_words_that_belong_here_repetitions_and_runs_are_refused(password: str) -> None:
    with pytest.raises(WeakPassword):
        check_strength(password, MAIL)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "another good password",
        "andon keeps four brown owls",
        "zwölf Boxkämpfer jagen",
        "kJ8-fq2_XwZ0vR5t",
        "\u6b63\u786e\u9a6c\u7535\u6c60\u8ba2\u4e66\u9489\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03",
        "x y z " * 3 + "and then some",
        "a" * 3 + " long one of 64 letters and more, as a password manager makes it",
    ],
)
def test_whatever_else_is_long_is_one_in_any_letters(password: str) -> None:
    check_strength(password, MAIL)
    check_strength(password, "")

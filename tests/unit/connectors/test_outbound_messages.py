"""Both readers of Outbound Messages: the patterns read what the XML parser reads."""

from __future__ import annotations

from itertools import pairwise
from time import process_time
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connectors.base.fields import InvalidField
from shared.connectors.salesforce.outbound_message import match_message, may_be_kept, parse_message, read_message
from tests.support.examples import is_unit
from tests.support.outbound import agree, meant
from tests.support.webhooks import sample
from tests.unit.connectors.test_hostile import genuine

SAMPLE = sample("salesforce-outbound-opportunity.xml").decode()
ONE_LINE = "".join(line.strip() for line in SAMPLE.split("\n"))
QUOTES = {'"': "&quot;", "'": "&apos;"}
# The beginnings of the texts of the elements.
TEXTS = [place + 1 for place, (a, b) in enumerate(pairwise(SAMPLE)) if a == ">" and b not in "\n<"]
# Every place of the message; in `make unit` one in eleven.
PLACES = range(0, len(ONE_LINE), 11 if is_unit() else 1)
# What XML forbids, changes, or takes for something else than it looks like.
ODD = (
    "",
    " ",
    "\n",
    "\t",
    "\r\n",
    "\r",
    "\x00",
    "\x0b",
    "\x1f",
    "\x7f",
    "\x85",
    "\xa0",
    "\u2028",
    "\ufeff",
    "\ufffe",
    "\U0001fffe",
    "<",
    ">",
    "&",
    "]]>",
    "&amp;",
    "&lt;b&gt;",
    "&quot;&apos;",
    "&amp;lt;",
    "&#38;",
    "&#x9;",
    "&nbsp;",
    "<!---->",
    "<?a b?>",
    "<![CDATA[x]]>",
    "<sf:a/>",
    "<sf:Name>other</sf:Name>",
    "</sf:Name>",
    "<sf:Id></sf:Id>",
    "'",
    '"',
    ' xsi:nil="true"',
    '<!DOCTYPE a [<!ENTITY b "c">]>',
    ' xmlns:sf="urn:other"',
    ' xmlns="urn:other"',
    "9",
    "é",
    "xsi",
    "sObject",
    "Opportunity",
)


def message(records: list[dict[str, str]]) -> str:
    parts = "".join(
        f"<Notification><Id>04l{number}</Id>"
        '<sObject xsi:type="sf:Opportunity" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">'
        + "".join(f"<sf:{name}>{escape(value, QUOTES)}</sf:{name}>" for name, value in record.items())
        + "</sObject></Notification>"
        for number, record in enumerate(records)
    )
    start, end = ONE_LINE.index("<Notification>"), ONE_LINE.index("</notifications>")
    return ONE_LINE[:start] + parts + ONE_LINE[end:]


def test_the_sample_is_read_as_written_on_many_lines_and_on_one() -> None:
    for text in (SAMPLE, ONE_LINE, SAMPLE + "\n"):
        found = match_message(text.encode())

        assert found is not None
        assert meant(found) == meant(parse_message(text.encode()))
        assert found.parts[0].fields["Name"] == "Müller & Söhne – Erweiterung"


def test_a_session_id_and_a_record_deleted_meanwhile_have_the_form_too() -> None:
    told = SAMPLE.replace('<SessionId xsi:nil="true"/>', "<SessionId>00D!live</SessionId>")
    start, end = told.index("     <sf:Id>"), told.index("    </sObject>")
    found = match_message((told[:start] + told[end:]).encode())

    assert found is not None
    assert [part.fields for part in found.parts] == [{}]


def test_each_message_is_of_its_own_organization_whichever_were_read_before() -> None:
    other = SAMPLE.replace("00D", "00E").replace("https://", "https://other.")
    for text in (SAMPLE, other, SAMPLE, other):
        found = match_message(text.encode())

        assert found is not None
        assert meant(found) == meant(parse_message(text.encode()))


def test_a_head_with_a_session_id_or_of_great_length_is_not_kept() -> None:
    head = SAMPLE[: SAMPLE.index("<Notification>")]

    assert may_be_kept(head)
    assert not may_be_kept(head.replace('<SessionId xsi:nil="true"/>', "<SessionId>00D!live</SessionId>"))
    assert not may_be_kept(head + "<n:SessionId>00D!live</n:SessionId>")
    assert not may_be_kept(head + " " * 3000)


def test_a_part_is_kept_as_it_came() -> None:
    for found in (match_message(SAMPLE.encode()), read_message(SAMPLE.replace("04k", "&#48;4k").encode())):
        assert found is not None
        assert "<sf:StageName>Proposal/Price Quote</sf:StageName>" in found.parts[0].xml


@given(
    st.lists(
        st.dictionaries(
            st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True),
            st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1)
            .map(str.strip)
            .filter(bool),
        ),
        max_size=4,
    )
)
def test_any_text_of_the_form_is_read_and_means_the_same(records: list[dict[str, str]]) -> None:
    body = message(records).encode()
    found = match_message(body)

    assert found is not None
    assert meant(found) == meant(parse_message(body))
    assert [part.fields for part in found.parts] == records


@given(st.lists(st.tuples(st.integers(0, len(SAMPLE)), st.integers(0, 40), st.sampled_from(ODD)), max_size=3))
def test_whatever_is_cut_out_and_put_in_both_readers_agree(changes: list[tuple[int, int, str]]) -> None:
    text = SAMPLE
    for at, length, put in changes:
        text = text[:at] + put + text[at + length :]
    agree(text.encode())


@given(st.sampled_from(TEXTS), st.lists(st.sampled_from(ODD) | st.characters(exclude_categories=["Cs"]), max_size=4))
def test_whatever_a_text_is_both_readers_agree(at: int, put: list[str]) -> None:
    agree((SAMPLE[:at] + "".join(put) + SAMPLE[SAMPLE.index("<", at) :]).encode())


def test_another_character_at_each_place_of_the_message_both_readers_agree() -> None:
    for at in PLACES:
        for other in "-x &<>":
            agree((ONE_LINE[:at] + other + ONE_LINE[at + 1 :]).encode())


@given(st.binary(max_size=6), st.integers(0, len(SAMPLE)))
def test_whatever_bytes_are_put_in_both_readers_agree(put: bytes, at: int) -> None:
    body = SAMPLE.encode()
    agree(body[:at] + put + body[at:])


@pytest.mark.parametrize("odd", ODD)
def test_odd_text_at_each_place_of_the_message_both_readers_agree(odd: str) -> None:
    for at in PLACES:
        agree((ONE_LINE[:at] + odd + ONE_LINE[at:]).encode())


@pytest.mark.parametrize("name", ["9a", "a9", "a-b", "a.b", "é", "a b", "a:b", "", "a" * 100, "a" * 50_001])
def test_names_of_fields_both_readers_agree(name: str) -> None:
    agree(SAMPLE.replace("sf:Probability", f"sf:{name}").encode())


@pytest.mark.parametrize(
    "part",
    [
        " ",
        "\n",
        "&amp;",
        "&",
        "a ",
        "é",
        "<sf:A>a</sf:A>",
        "<sf:A>a</sf:A> ",
        "<sf:A>a</sf:B>",
        "<sf:A>",
        "<sf:" + "A" * 99 + ">",
        "<Notification>",
        "</sObject></Notification><Notification><Id>a</Id>",
    ],
)
def test_the_time_of_the_patterns_grows_with_the_length_alone(part: str) -> None:
    many = part * (2 ** (17 if is_unit() else 20) // len(part))
    began = process_time()

    for at in TEXTS:
        match_message((SAMPLE[:at] + many + SAMPLE[at:]).encode())
        match_message((SAMPLE[:at] + many).encode())

    assert process_time() - began < 2 * len(TEXTS)


def test_a_message_that_is_none_says_why() -> None:
    for body, why in ((b"{}", "not XML in UTF-8"), (b"<a/>", "no notifications"), (b"<!DOCTYPE a><a/>", "a DTD")):
        with pytest.raises(InvalidField, match=why):
            read_message(body)


def test_what_the_simulator_says_has_the_form() -> None:
    bodies = [webhook.body for _, webhook in genuine("salesforce")]

    assert len(bodies) > 10
    assert [body for body in bodies if match_message(body) is None] == []

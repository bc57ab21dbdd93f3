"""Instants and amounts as people write them: read where there is one reading, refused where there are two."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.importer.amounts import AmountFault, DecimalMark, read_amount
from services.importer.date_order import infer_months, unsure_month
from services.importer.dates import DateFault, DateOrders, DateReader, orders_of, read_date
from services.importer.mapping import Columns, DateOrder, Mapping, Shape
from services.importer.months import MonthNames
from services.importer.sample import Sample
from services.importer.tables.base import Cell
from shared.runtime.instants import micros

YMD, DMY, MDY = DateOrder.YMD, DateOrder.DMY, DateOrder.MDY
NOON = datetime(2026, 3, 4, 12, 5)  # noqa: DTZ001 (as it is written)


@pytest.mark.parametrize(
    ("text", "order", "meant"),
    [
        ("2026-03-04", None, date(2026, 3, 4)),
        ("2026/3/4", None, date(2026, 3, 4)),
        ("2026-03-04 12:05", None, NOON),
        ("2026-03-04T12:05:00Z", None, NOON.replace(tzinfo=UTC)),
        ("2026-03-04 12:05:00 UTC", None, NOON.replace(tzinfo=UTC)),
        ("04.03.2026", DMY, date(2026, 3, 4)),
        ("4.3.26", DMY, date(2026, 3, 4)),
        ("03/04/2026", MDY, date(2026, 3, 4)),
        ("3/4/2026, 12:05 PM", MDY, NOON),
        ("04/03/2026 12h05", DMY, NOON),
        ("04-03-2026 12:05", DMY, NOON),
        ("4 March 2026", None, date(2026, 3, 4)),
        ("Mar 4, 2026 12:05 pm", None, NOON),
        ("04-Mar-2026", None, date(2026, 3, 4)),
        ("4. März 2026", None, date(2026, 3, 4)),
        ("4 août 2026", None, date(2026, 8, 4)),
        ("4 juin 2026", None, date(2026, 6, 4)),
        ("4 juil. 2026", None, date(2026, 7, 4)),
        ("4 de enero de 2026", None, date(2026, 1, 4)),
        ("4 mrt. 2026", None, date(2026, 3, 4)),
        ("4 de dezembro de 2026", None, date(2026, 12, 4)),
    ],
)
def test_dates_are_read(text: str, order: DateOrder | None, meant: date) -> None:
    assert read_date(text, order) == meant


@pytest.mark.parametrize(
    ("text", "order", "words"),
    [
        ("03/04/2026", None, "more than one way"),
        ("13/13/2026", DMY, "not a date"),
        ("31.02.2026", DMY, "not a date"),
        ("yesterday", DMY, "2026-03-31"),
        ("4 Brumaire 2026", None, "month"),
        ("42", DMY, "not a date"),
    ],
)
def test_what_is_no_date_or_two_is_refused(text: str, order: DateOrder | None, words: str) -> None:
    with pytest.raises(DateFault, match=words):
        read_date(text, order)


def test_the_orders_in_which_a_text_can_be_read() -> None:
    assert orders_of("25/03/2026") == {DMY}
    assert orders_of("03/25/2026") == {MDY}
    assert orders_of("03/04/2026") == {DMY, MDY}
    assert orders_of("2026-03-04") == {YMD, DMY, MDY}


def test_a_day_is_from_midnight_to_midnight_of_its_zone() -> None:
    dates = DateReader(DateOrders({}, DMY), "Europe/Berlin")
    # The clocks go forward: the day has 23 hours.
    assert dates.read("29.03.2026") == (
        micros(datetime(2026, 3, 28, 23, tzinfo=UTC)),
        micros(datetime(2026, 3, 29, 22, tzinfo=UTC)),
    )
    noon = micros(datetime(2026, 3, 4, 11, 5, tzinfo=UTC))
    assert dates.read("04.03.2026 12:05") == dates.read(NOON) == (noon, noon)
    assert dates.read("2026-03-04T12:05:00+01:00") == dates.read(str(noon // 1000)) == (noon, noon)
    assert dates.read(datetime(2026, 3, 4)) == dates.read("04.03.2026")  # noqa: DTZ001
    assert dates.read("  ") is dates.read(None) is None
    with pytest.raises(DateFault, match="before 1970"):
        dates.read("30.12.1899")
    with pytest.raises(DateFault, match="is a number"):
        dates.read(46000)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("9999-12-31", "after 9998"),
        ("31.12.9999 00:00", "after 9998"),
        ("9999-12-31T23:59:59-05:00", "after 9998"),
        (date.max, "after 9998"),
        (datetime.max, "after 9998"),  # noqa: DTZ901 (as a workbook gives it)
        ("01.01.0001 00:00", "before 1970"),
        (date.min, "before 1970"),
    ],
)
def test_the_ends_of_the_calendar_are_faults_of_the_table(cell: Cell, words: str, zone: str) -> None:
    with pytest.raises(DateFault, match=words):
        DateReader(DateOrders({}, DMY), zone).read(cell)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)), st.sampled_from(list(DateOrder)))  # noqa: DTZ001
def test_every_moment_is_read_as_it_was_written(moment: datetime, order: DateOrder) -> None:
    forms = {YMD: "%y-%m-%d", DMY: "%d.%m.%Y", MDY: "%m/%d/%Y"}
    if order is YMD:
        moment = moment.replace(year=2000 + moment.year % 100)

    written = moment.strftime(forms[order] + " %H:%M:%S.%f")

    assert read_date(written, order) == moment


@pytest.mark.parametrize(
    ("text", "way", "amount"),
    [
        ("1234", None, "1234"),
        ("1,234.50", "point", "1234.50"),
        ("1.234,50", "comma", "1234.50"),
        ("€ 1.234", "comma", "1234"),
        ("1 234,5 €", "comma", "1234.5"),
        ("$1,234.00", "point", "1234.00"),
        ("CHF 1'234.05", "point", "1234.05"),
        ("(12.50)", "point", "-12.50"),
        (1234.5, None, "1234.5"),
        (7, None, "7"),
        ("", None, None),
        (None, None, None),
    ],
)
def test_amounts_are_read(text: str, way: object, amount: str | None) -> None:
    assert read_amount(text, way) == amount  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "way"), [("1,234", None), ("1.234,50", "point"), ("much", "point"), ("1,23,4", "point")]
)
def test_what_is_no_amount_or_two_is_refused(text: str, way: object) -> None:
    with pytest.raises(AmountFault):
        read_amount(text, way)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "order", "meant"),
    [
        ("10. 3. 2026", DMY, "2026-03-10"),
        ("10. 3. 2026 14:05", DMY, "2026-03-10 14:05:00"),
        ("2026. 03. 10. 14:05", None, "2026-03-10 14:05:00"),
        ("2026年3月10日 9:05", None, "2026-03-10 09:05:00"),
        ("wtorek, 10 marca 2026", None, "2026-03-10"),
        ("tirsdag 10. marts 2026", None, "2026-03-10"),
        ("Mar 10, '26", None, "2026-03-10"),
        ("Mar-10-2026", None, "2026-03-10"),
        ("10 czerwca 2026", None, "2026-06-10"),
        ("10 lipca 2026", None, "2026-07-10"),
        ("10 lipca 2026 r., 14:05", None, "2026-07-10 14:05:00"),
        ("poniedziałek, 10 marca 2026", None, "2026-03-10"),
        ("lørdag 10. marts 2026", None, "2026-03-10"),
        ("10 sept. 2026", None, "2026-09-10"),
        ("2026-03-10+01:00", None, "2026-03-10"),
        ("2026-03-10-05:00", None, "2026-03-10"),
        ("2026-03-10Z", None, "2026-03-10"),
        ("2025-12-31T23:59:60Z", None, "2025-12-31 23:59:59.999999+00:00"),
        ("10/03/2026 12:05 AM", DMY, "2026-03-10 00:05:00"),
        ("10/03/2026 13:05 PM", DMY, "2026-03-10 13:05:00"),
    ],
)
def test_a_date_of_another_country_or_format_is_read(text: str, order: DateOrder | None, meant: str) -> None:
    assert str(read_date(text, order)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "10 marraskuuta 2025",  # November in Finnish, not March
        "10. lipnja 2025",  # June in Croatian, not July
        "10 listopada 2025",  # November in Polish, October in Croatian
        "10 lip 2025",  # July in Polish, June in Croatian
        "10 jui 2025",  # June or July in French
        "10 Marketing 2026",
        "10 de 2026",
        "2026-03-10 14:05 AM",
        "2026-03-10 09:00 (CET)",
        "2026-03-10 09:00 (GMT+1)",
        "2026-W10",
        "2025-12-31T12:30:60Z",
    ],
)
def test_a_date_that_would_be_a_guess_is_refused(text: str) -> None:
    with pytest.raises(DateFault):
        read_date(text, DMY)


@pytest.mark.parametrize(
    ("text", "names", "meant"),
    [
        ("10 listopada 2025", MonthNames.POLISH, date(2025, 11, 10)),
        ("10. listopada 2025.", MonthNames.CROATIAN, date(2025, 10, 10)),
        ("10 lip 2025", MonthNames.POLISH, date(2025, 7, 10)),
        ("10. lipnja 2025", MonthNames.CROATIAN, date(2025, 6, 10)),
        ("10 March 2025", MonthNames.CROATIAN, date(2025, 3, 10)),
    ],
)
def test_a_month_that_two_languages_share_is_read_once_it_is_known_whose(
    text: str, names: MonthNames, meant: date
) -> None:
    assert read_date(text, None, names) == meant


@pytest.mark.parametrize(
    ("texts", "names", "asked"),
    [
        (["10 listopada 2025", "4 marca 2026"], MonthNames.POLISH, None),
        (["10. listopada 2025", "4. lipnja 2025"], MonthNames.CROATIAN, None),
        (["10 listopada 2025"], None, "listopada"),
        (["10 listopada 2025", "4 marca 2026", "4. lipnja 2025"], None, "listopada"),
        (["10 November 2025", "2025-10-10"], None, None),
    ],
)
def test_other_months_of_the_table_show_whose_names_they_are(
    texts: list[str], names: MonthNames | None, asked: str | None
) -> None:
    sample = Sample(["id", "day"], [[str(number), text] for number, text in enumerate(texts)])
    mapping = Mapping(shape=Shape.CHANGES, columns=Columns(deal="id", time="day"))
    assert sample.holds_dates("day")
    assert infer_months(sample, ["day"]) == names
    assert unsure_month(sample, mapping.model_copy(update={"months": names})) == asked


@pytest.mark.parametrize(
    ("text", "mark", "amount"),
    [
        ("$(1,234.00)", "point", "-1234.00"),
        ("$ (1,234.00)", "point", "-1234.00"),
        ("(1.234,50) €", "comma", "-1234.50"),
        ("- 1 234,50 €", "comma", "-1234.50"),
        ("-$ 1,234", "point", "-1234"),
        (".5", "point", "0.5"),
        ("1 234 567,89", "comma", "1234567.89"),
        ("CHF 1'234.–", "point", "1234"),
        ("1,234.", "point", "1234"),
    ],
)
def test_an_amount_of_an_accountant_is_read(text: str, mark: DecimalMark, amount: str) -> None:
    assert read_amount(text, mark) == amount


@pytest.mark.parametrize("text", ["5 5", "12 34", "1 2 3", "1'23'4", "--5", "(-5)", "-5-", ".", "1 234 5"])
@pytest.mark.parametrize("mark", ["point", "comma"])
def test_two_numbers_or_signs_are_no_amount(text: str, mark: DecimalMark) -> None:
    with pytest.raises(AmountFault):
        read_amount(text, mark)

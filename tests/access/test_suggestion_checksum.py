import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.access.suggestion import checksum, national

# Published examples of the authorities and standards, and of nobody.
VALID = {
    "ssn": ["536-22-8726", "536 22 8726"],
    "sin": ["130692544", "130-692-544", "130 692 544"],
    "personnummer": ["811218-9876", "8112189876", "198112189876", "811278-9873"],
    "nino": ["AB123456C", "AB 12 34 56 C", "ab123456c"],
    "nir": ["2 55 08 14 168 025 38", "255081416802538"],
    "steuer_id": ["86095742719", "65929970489", "86 095 742 719"],
    "dni": ["12345678Z", "12345678-z", "X1234567L", "Y1234567X"],
    "codice_fiscale": ["RSSMRA85T10A562S", "MRTMTT25D09F205Z"],
    "bsn": ["111222333", "123456782"],
    "belgian": ["85.07.30-033 28", "17 07 30 033 84", "85073003328"],
    "pesel": ["44051401359", "02070803628"],
    "cpf": ["111.444.777-35", "11144477735"],
    "cnpj": ["11.222.333/0001-81", "11222333000181", "12.ABC.345/01DE-35"],
    "aadhaar": ["234123412346", "4991 1866 5246"],
    "hetu": ["131052-308T", "131052Y308T", "131052A308T"],
    "tfn": ["123 456 782", "123456782"],
    "ahv": ["756.9217.0769.85", "7569217076985"],
    "nhs": ["943 476 5919", "9434765919", "943-476-5919"],
    "fodselsnummer": ["15108695088", "151086 95088"],
    "nif": ["123456789", "501964843"],
    "chinese": ["11010519491231002X", "11010519491231002x"],
    "austrian": ["1237 010180", "1237010180"],
}
INVALID = {
    "ssn": [
        "536228726",
        "000-22-8726",
        "666-22-8726",
        "900-22-8726",
        "536-00-8726",
        "536-22-0000",
        "078-05-1120",
        "536-22 8726",
    ],
    "sin": ["046454286", "800000002", "130692545"],
    "personnummer": ["811318-9876", "811218-9875", "810229-9876"],
    "nino": ["GB123456A", "DA123456A", "AO123456A", "AB123456E", "AB12345C"],
    "nir": ["255081416802539", "255131416802538", "855081416802538x"],
    "steuer_id": ["06095742719", "86095742718", "12345678901", "11115742719"],
    "dni": ["12345678A", "1234567Z", "W1234567L"],
    "codice_fiscale": ["RSSMRA85T10A562T", "RSSMRA85F10A562S"],
    "bsn": ["111222334", "000000000", "12345678"],
    "belgian": ["85.07.30-033 29", "85.13.30-033 28", "85.07.30-999 28"],
    "pesel": ["44051401358", "44053201359", "4405140135", "\uff14\uff1405140135\uff19"],
    "cpf": ["111.444.777-36", "111.111.111-11", "111.444777-35"],
    "cnpj": ["11.222.333/0001-82", "00.000.000/0000-00"],
    "aadhaar": ["134123412346", "234123412347", "2341-2341 2346"],
    "hetu": ["131052-308U", "131352-308T", "131052-001W"],
    "tfn": ["123456783", "000000000"],
    "ahv": ["756.9217.0769.86", "757.9217.0769.85"],
    "nhs": ["9434765918", "0000000000", "1111111111"],
    "fodselsnummer": ["15108695089", "15138695088"],
    "nif": ["123456780", "423456789"],
    "chinese": ["11010519491231002Y", "110105194912310021", "11010519491331002X"],
    "austrian": ["1237 010181", "1237 011680"],
}
CARDS = [
    "4111111111111111",
    "5555555555554444",
    "378282246310005",
    "6011111111111117",
    "3530111333300000",
    "30569309025904",
    "2223003122003222",
    "6200000000000005",
    "4222222222222",
]
IBANS = (
    "GB82WEST12345698765432",
    "DE89 3704 0044 0532 0130 00",
    "FR1420041010050500013M02606",
    "NL91 ABNA 0417 1643 00",
    "NO9386011117947",
    "de89370400440532013000",
)
# Two or more wrong sums share the digit 0, so that some single errors are not found by these.
FORGIVING = {"cpf", "cnpj", "nif", "ssn", "nino", "belgian"}


@pytest.mark.parametrize(
    ("kind", "value"), [(k, v) for k, several in VALID.items() for v in several]
)
def test_a_number_of_a_state_is_known(kind, value):
    assert national.KINDS[kind].check(value)


@pytest.mark.parametrize(
    ("kind", "value"), [(k, v) for k, several in INVALID.items() for v in several]
)
def test_what_is_no_such_number_is_refused(kind, value):
    assert not national.KINDS[kind].check(value)


def test_every_kind_has_examples_and_a_source():
    assert set(VALID) == set(INVALID) == set(national.KINDS)
    assert all("Source: " in one.check.__doc__ for one in national.KINDS.values())


@pytest.mark.parametrize("kind", sorted(set(VALID) - FORGIVING))
def test_one_other_digit_is_refused(kind):
    check = national.KINDS[kind].check
    for value in VALID[kind]:
        for at, char in enumerate(value):
            if char in string.digits:
                for digit in set(string.digits) - {char}:
                    other = value[:at] + digit + value[at + 1 :]
                    assert not check(other), other


@pytest.mark.parametrize("value", CARDS)
def test_cards_are_known_and_one_other_digit_is_refused(value):
    assert checksum.card(value)
    assert checksum.card(" ".join(value[at : at + 4] for at in range(0, len(value), 4)))
    for at, char in enumerate(value):
        for digit in set(string.digits) - {char}:
            assert not checksum.card(value[:at] + digit + value[at + 1 :])


@pytest.mark.parametrize(
    "value",
    [
        "",
        "4",
        "4111-1111 1111-1111x",
        "1234567812345670",
        "0000000000000000",
        "41111111111111111111",
        "9111111111111116",
        "411111111111116",
    ],
)
def test_what_is_no_card_is_refused(value):
    assert not checksum.card(value)


@pytest.mark.parametrize("value", IBANS)
def test_ibans_are_known_and_one_other_digit_is_refused(value):
    assert checksum.iban(value)
    for at, char in enumerate(value):
        if char in string.digits:
            for digit in set(string.digits) - {char}:
                assert not checksum.iban(value[:at] + digit + value[at + 1 :])


def test_an_iban_has_its_country_s_length():
    assert not checksum.iban("DE5137040044053201300")
    assert not checksum.iban("XX46370400440532013000")
    assert checksum.IBAN_LENGTHS["DE"] == 22
    assert max(checksum.IBAN_LENGTHS.values()) <= 34


def test_imeis():
    assert checksum.imei("490154203237518")
    assert checksum.imei("35-209900-176148-1")
    assert not checksum.imei("490154203237517")
    assert not checksum.imei("120154203237518")


number = st.text(string.digits, min_size=1, max_size=30)


@given(number, st.data())
@pytest.mark.parametrize("check", [checksum.luhn, checksum.verhoeff, checksum.mod_11_10])
def test_one_digit_completes_a_number_and_another_one_does_not(check, text, data):
    valid = [text + digit for digit in string.digits if check(text + digit)]
    assert len(valid) == 1
    at = data.draw(st.integers(0, len(text)))
    digit = data.draw(st.sampled_from(sorted(set(string.digits) - {valid[0][at]})))
    assert not check(valid[0][:at] + digit + valid[0][at + 1 :])


@given(st.text(max_size=60))
def test_any_text_gets_an_answer(text):
    for check in (checksum.card, checksum.iban, checksum.imei):
        assert check(text) in {True, False}
    for one in national.KINDS.values():
        assert one.check(text) in {True, False}

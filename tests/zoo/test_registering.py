"""Registries: taken names, near names, owners."""

import pytest

from zoo.errors import UserError
from zoo.registry import Registry, registering


def test_entries_by_name_in_order() -> None:
    table: Registry[int] = Registry("number")
    assert table.register("one", 1) == 1
    table.register("two", 2)
    assert dict(table) == {"one": 1, "two": 2}
    assert table.find("one") == 1


def test_an_unknown_name_offers_the_nearest() -> None:
    table: Registry[int] = Registry("number")
    table.register("seventeen", 17)
    with pytest.raises(UserError, match=r"^unknown number 'seventen': did you mean seventeen\?$"):
        table.find("seventen")


def test_a_taken_name_is_one_clear_line() -> None:
    table: Registry[int] = Registry("number")
    table.register("one", 1)
    with pytest.raises(UserError, match=r"^the number name 'one' is taken: choose another name$"):
        table.register("one", 2)
    with pytest.raises(UserError, match="is taken"), registering("/home/me/mine.py"):
        table.register("one", 2)
    assert table["one"] == 1


def test_the_same_owner_may_register_again() -> None:
    table: Registry[int] = Registry("number")
    for value in (1, 2):
        with registering("mine.py"):
            table.register("one", value)
    assert table["one"] == 2
    assert table.owner("one") == "mine.py"
    with pytest.raises(UserError, match="taken by mine"):
        table.register("one", 3, owner="other.py")


def test_a_name_must_be_a_word() -> None:
    table: Registry[int] = Registry("number")
    with pytest.raises(UserError, match="must be a word"):
        table.register("", 1)

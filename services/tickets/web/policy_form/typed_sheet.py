"""What was typed into a form of the policy: the text that it makes, or what is wrong, by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.tickets.domain.typed import storable, trimmed
from services.tickets.web.policy_form.sheet import FieldGroup, PolicyField, PolicySheet, SheetSection
from services.tickets.web.policy_view import fault_texts
from shared.policy import PolicyError
from shared.policy.edit import PolicyNotEditable, edited_policy
from shared.runtime.yaml_edit import FieldChange, ListChange, YamlValue
from shared.runtime.yaml_file import KeyPath, dotted


@dataclass(frozen=True)
class SheetAnswer:
    """What was typed, and what is wrong with it, by field; faults of no field are in `others`."""

    typed: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[str] = ()


NOT_SENT = SheetAnswer()
_NOTHING, _EMPTY = "Nothing is changed.", "Write something here."


def typed_values(sheet: PolicySheet, sent: Mapping[str, object]) -> dict[str, str]:
    """What a form sends, by field; a field that it leaves out stays as it is written."""
    written = {one.name: one.written for one in sheet.fields()}
    return {name: trimmed(storable(str(sent.get(name, written.get(name, ""))))) for name, _ in sheet.labels()}


def changed_text(before: str, sheet: PolicySheet, typed: Mapping[str, str]) -> str | SheetAnswer:
    """The policy with what was typed, or all that is wrong with it."""
    faults = dict(_faults(sheet, typed))
    found = _text(before, sheet, {**typed, **_undone(sheet, faults)})
    if not faults:
        return found
    more = found if isinstance(found, SheetAnswer) else NOT_SENT
    return SheetAnswer(typed, {**more.faults, **faults}, [one for one in more.others if one != _NOTHING])


def _undone(sheet: PolicySheet, faults: Mapping[str, str]) -> dict[str, str]:
    """What is written in place of what is wrong; of a group without a usable name, of all its fields."""
    unnamed = [section for section in sheet.sections if section.named_by in faults]
    fields = [one for section in unnamed for group in section.groups if group.key is None for one in group.fields]
    written = {one.name: one.written for one in sheet.fields()}
    return {name: written.get(name, "") for name in (*(one.name for one in fields), *faults)}


def _text(before: str, sheet: PolicySheet, typed: Mapping[str, str]) -> str | SheetAnswer:
    """The policy with what was typed, or what the policy says against it."""
    changes = _SheetChanges(typed)
    for section in sheet.sections:
        changes.add(section)
    if not changes.fields and not changes.lists:
        return SheetAnswer(typed, others=[_NOTHING])
    try:
        after = edited_policy(before, changes.fields, changes.lists)
    except PolicyError as error:
        return changes.answer(error)
    except PolicyNotEditable as error:
        return SheetAnswer(typed, others=[_sentence(str(error))])
    return SheetAnswer(typed, others=[_NOTHING]) if after == before else after


def _faults(sheet: PolicySheet, typed: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is wrong whatever the policy says."""
    for section in sheet.sections:
        for group in section.groups:
            for one in () if _is_removed(group, typed) else group.fields:
                if typed[one.name] != one.written and (fault := _fault(one, typed[one.name])):
                    yield one.name, fault
            if group.remove and group.kept_for and _is_removed(group, typed):
                yield group.remove, group.kept_for
        name = section.named_by
        if name and typed[name] in section.taken:
            yield name, f"There is {typed[name]} already; choose another name."
        elif name and not typed[name] and any(_is_new(group, typed) for group in section.groups):
            yield name, _EMPTY


def _fault(one: PolicyField, value: str) -> str | None:
    if one.is_needed and not value:
        return _EMPTY
    if one.choices and value not in one.choices:
        return "Choose one of the list."
    if len(value) > one.longest:
        return f"Write {one.longest} letters at most."
    try:
        one.read(value)
    except ValueError as error:
        return _sentence(str(error))
    return None


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _is_new(group: FieldGroup, typed: Mapping[str, str]) -> bool:
    return group.key is None and any(typed[one.name] != one.written for one in group.fields)


def _is_removed(group: FieldGroup, typed: Mapping[str, str]) -> bool:
    return group.remove is not None and bool(typed[group.remove])


class _SheetChanges:
    """Collects the changes, and where each field will be in the changed policy."""

    def __init__(self, typed: Mapping[str, str]) -> None:
        self._typed = typed
        self._fields: dict[KeyPath, FieldChange] = {}
        self.lists: list[ListChange] = []
        self._places: dict[str, str] = {}

    @property
    def fields(self) -> list[FieldChange]:
        """Each path once: where two fields of the form have it, with the value of the last."""
        return list(self._fields.values())

    def add(self, section: SheetSection) -> None:
        """Add what was changed in a section."""
        for group in section.groups:
            if group.key is not None and not _is_removed(group, self._typed):
                path = (*section.path, group.key) if group.key != "" else section.path
                for one in self._changed(group):
                    for key in (one.key, *one.more):
                        self._change((*path, *key), self._value(one))
        if section.is_list:
            self._add_list(section)
        else:
            self._add_groups(section)

    def _add_list(self, section: SheetSection) -> None:
        order = _order(section, self._typed)
        for place, group in enumerate(order):
            if isinstance(group, FieldGroup):
                self._place(group, (*section.path, place))
        entries = [self._entry(group) if isinstance(group, FieldGroup) else group for group in order]
        if entries != [*range(section.entries)]:
            self.lists.append(ListChange(section.path, entries))

    def _entry(self, group: FieldGroup) -> int | YamlValue:
        """An entry of a list, as it is to be written."""
        if isinstance(group.key, int):
            return group.key
        return self._written(group)

    def _add_groups(self, section: SheetSection) -> None:
        new = [group for group in section.groups if _is_new(group, self._typed)]
        gone = [group.key for group in section.groups if group.key is not None and _is_removed(group, self._typed)]
        for group in section.groups:
            if group.key is not None:
                self._place(group, (*section.path, group.key) if group.key != "" else section.path)
        for group in new:
            path = (*section.path, self._typed[section.named_by])
            self._place(group, path)
            if section.entries:
                self._change(path, self._written(group))
            else:
                self._change(section.path, {str(path[-1]): self._written(group)})
        if gone and len(gone) == section.entries and not new:
            self._change(section.path, None)
        else:
            for key in gone:
                self._change((*section.path, key), None)

    def _change(self, path: KeyPath, value: YamlValue | None) -> None:
        self._fields[path] = FieldChange(path, value)

    def _written(self, group: FieldGroup) -> YamlValue:
        """A group that is added, as it is to be written."""
        whole: dict[str, Any] = {}
        for one in self._changed(group):
            inner = whole
            for key in one.key[:-1]:
                inner = inner.setdefault(str(key), {})
            inner[str(one.key[-1])] = self._value(one)
        return whole

    def _changed(self, group: FieldGroup) -> list[PolicyField]:
        """The fields of the policy that were changed."""
        return [one for one in group.fields if one.key and self._typed[one.name] != one.written]

    def _value(self, one: PolicyField) -> YamlValue | None:
        """None: nothing is typed, and nothing to be written."""
        typed = self._typed[one.name]
        return one.read(typed) if typed else None

    def _place(self, group: FieldGroup, path: KeyPath) -> None:
        if group.fields and group.key != "":
            self._places[dotted(path)] = group.fields[0].name
        for one in group.fields:
            if group.key is None and len(one.key) > 1:
                self._places.setdefault(dotted((*path, *one.key[:-1])), one.name)
            if one.key:
                self._places[dotted((*path, *one.key))] = one.name

    def answer(self, error: PolicyError) -> SheetAnswer:
        """Each fault at its field, or at the first one of its group."""
        faults, others = dict[str, str](), []
        for fault in error.faults:
            name = self._field_at(fault.path)
            if name is None:
                others.append(fault)
            else:
                faults.setdefault(name, _sentence(fault.text))
        return SheetAnswer(self._typed, faults, fault_texts(PolicyError(others)))

    def _field_at(self, path: str) -> str | None:
        while path:
            if path in self._places:
                return self._places[path]
            path = path.rpartition(".")[0]
        return None


def _order(section: SheetSection, typed: Mapping[str, str]) -> list[int | FieldGroup]:
    """The entries of a list as they are to be: by number where the form does not show them."""
    known = {group.key: group for group in section.groups}
    order: list[int | FieldGroup] = [known.get(number, number) for number in range(section.entries)]
    order += [group for group in section.groups if _is_new(group, typed)]
    moved = sorted((place, number) for number, one in enumerate(order) if (place := _new_place(one, typed)))
    numbers = {number for _, number in moved}
    arranged = [one for number, one in enumerate(order) if number not in numbers]
    for place, number in moved:
        arranged.insert(place - 1, order[number])
    return [one for one in arranged if isinstance(one, int) or not _is_removed(one, typed)]


def _new_place(entry: int | FieldGroup, typed: Mapping[str, str]) -> int | None:
    """Where an entry is to be, from 1 on; None: where it is."""
    places = () if isinstance(entry, int) else [one for one in entry.fields if one.is_place]
    return next((int(typed[one.name]) for one in places if typed[one.name] not in ("", one.written)), None)

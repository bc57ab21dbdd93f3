"""What a form of the policy shows: fields in groups, groups in sections. Names of fields are those of the form."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared.runtime.yaml_edit import YamlValue
from shared.runtime.yaml_file import KeyPath


@dataclass(frozen=True)
class PolicyField:
    """One field. `key`: its path below its group; `written`: its value in the policy.

    `choices`: of a select, the label of each value. `read`: the policy's value of what is typed; raises ValueError.
    `more`: other paths that get the same value. `is_place`: not a value of the policy, but the place of the group among
    its like.
    """

    name: str
    key: KeyPath
    label: str
    written: str
    hint: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    is_needed: bool = False
    read: Callable[[str], YamlValue] = str
    more: Sequence[KeyPath] = ()
    is_place: bool = False

    @property
    def longest(self) -> int:
        """Letters, at most."""
        return 300 if self.read is str else 3000


@dataclass(frozen=True)
class FieldGroup:
    """Fields of one group of the policy. `key`: its number or its name in the section, "" for the section itself.

    None: one that can be added. `remove`: the name of the field that takes the group out; None: it must stay.
    `kept_for`: why it cannot be taken out now, as a sentence.
    """

    title: str
    fields: Sequence[PolicyField]
    key: str | int | None
    remove: str | None = None
    kept_for: str = ""


@dataclass(frozen=True)
class SheetSection:
    """Groups of one part of the policy, at `path`. `is_list`: they are entries of a list, `entries` of them.

    `named_by`: the name of the field that names a group that is added, where they are no list; `taken`: names in use.
    """

    title: str
    path: KeyPath
    groups: Sequence[FieldGroup]
    is_list: bool = False
    entries: int = 0
    named_by: str = ""
    taken: Collection[str] = ()


@dataclass(frozen=True)
class PolicySheet:
    """A whole form. `address`: of its page."""

    title: str
    address: str
    sections: Sequence[SheetSection]

    def fields(self) -> Iterator[PolicyField]:
        for section in self.sections:
            for group in section.groups:
                yield from group.fields

    def labels(self) -> Iterator[tuple[str, str]]:
        """The name of each field that a form sends, and its label."""
        for section in self.sections:
            for group in section.groups:
                yield from ((one.name, one.label) for one in group.fields)
                if group.remove:
                    yield group.remove, f"Remove {group.title}"

"""Form fields that an offering asks its applicants to fill in: pure types and rules."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from exchange.errors import BadInput

FieldKind = Literal["text", "number", "boolean", "date", "choice"]
Value = str | int | bool
MAX_TEXT = 2000
LARGEST = 2**53 - 1
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class FormField:
    """One question. `name` is for programs, the labels are for people."""

    name: str
    kind: FieldKind
    label_en: str
    label_zh: str
    required: bool = False
    choices: tuple[str, ...] = ()

    def fault(self, value: object) -> str | None:
        """Say what is wrong with a value of this field; None where nothing is."""
        if self.kind == "number":
            fits = type(value) is int and abs(value) <= LARGEST
            return None if fits else "a whole number"
        if self.kind == "boolean":
            return None if type(value) is bool else "true or false"
        if type(value) is not str or _UNSAFE.search(value):
            return "text without control characters"
        if self.kind == "choice":
            return None if value in self.choices else f"one of: {', '.join(self.choices)}"
        if self.kind == "date":
            if not _DATE.fullmatch(value):
                return "a date such as 2026-12-31"
            return None if _is_in_calendar(value) else "a day that the calendar has"
        if not value.strip() and self.required:
            return "some text"
        return None if len(value) <= MAX_TEXT else f"at most {MAX_TEXT} characters"


def _is_in_calendar(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:  # 30 February, the year 0
        return False
    return True


def form_field_of(document: Mapping[str, Any]) -> FormField:
    """Read a stored field back."""
    return FormField(**{**document, "choices": tuple(document["choices"])})


def check_form(fields: Sequence[FormField], given: Mapping[str, object]) -> dict[str, Value]:
    """Return the filled-in form; raises BadInput (422) that names every fault at once."""
    known = {field.name: field for field in fields}
    faults = [
        {"in": f"form.{name}" if name.isidentifier() else "form.?", "fault": "not in the form"}
        for name in sorted(given)
        if name not in known
    ]
    for field in fields:
        if field.name in given:
            wanted = field.fault(given[field.name])
            if wanted is not None:
                faults.append({"in": f"form.{field.name}", "fault": f"must be {wanted}"})
        elif field.required:
            faults.append({"in": f"form.{field.name}", "fault": "is required"})
    if faults:
        raise BadInput(
            "form_invalid",
            "; ".join(f"{fault['in']} {fault['fault']}" for fault in faults),
            status=422,
            hint="The offering's `form` lists what is asked.",
            members={"faults": faults},
        )
    return {name: value for name, value in given.items() if isinstance(value, str | int)}

"""The verifier's logs told more shortly, and back: what a line repeats of earlier ones is left out.

A log names each instruction's text in its list of live registers and again at every visit, and each register's state again where
it has not changed. Neither is repeated here, which takes a sixth off a recording. `tell(shorten(lines)) == lines` for any log.
"""

from __future__ import annotations

import re

SAME_TEXT = "~"  # the instruction's text as the list of live registers has it
SAME_STATE = "`"  # after a register or slot: as it was named last
ALIGNED = "$"  # the blanks before a state that is put at its column
_COLUMN = 38
_LISTED = re.compile(r"^[ \d]*?(\d+): [.\d]{10} (\([0-9a-f]{2}\) .*)$")
_TEXT = re.compile(r"(\d+): (\([0-9a-f]{2}\) .*)$")
_SHORT = re.compile(r"(\d+): " + re.escape(SAME_TEXT))
_STATE = re.compile(r"(?<![^ ])(R\d+|fp-\d+)=((?:[^ ]|(?<=;) )+)")
_ANY_STATE = re.compile(r"(?<![^ ])(R\d+|fp-\d+)(?:=((?:[^ ]|(?<=;) )+)|" + SAME_STATE + ")")
_MARKS = (SAME_TEXT, SAME_STATE, ALIGNED)


def shorten(lines: list[str]) -> list[str]:
    """Lines without what they repeat."""
    if any(mark in line for line in lines for mark in _MARKS):
        raise ValueError("the log has the marks that stand for repetitions")
    texts: dict[str, str] = {}
    states: dict[str, str] = {}

    def state(found: re.Match[str]) -> str:
        name, text = found.groups()
        if states.get(name) == text:
            return name + SAME_STATE
        states[name] = text
        return found[0]

    return [_STATE.sub(state, _short_text(line, texts)) for line in lines]


def _short_text(line: str, texts: dict[str, str]) -> str:
    if listed := _LISTED.match(line):
        texts[listed[1]] = listed[2]
        return line
    found = _TEXT.search(line)
    text = texts.get(found[1]) if found else None
    if found is None or text is None or not found[2].startswith(text):
        return line
    before, behind = line[: found.start(2)], found[2][len(text) :]
    blanks = len(behind) - len(behind.lstrip(" "))
    if blanks and blanks == _blanks(before, text) and behind[blanks : blanks + 2] == "; ":
        behind = ALIGNED + behind[blanks + 2 :]
    return before + SAME_TEXT + behind


def _blanks(before: str, text: str) -> int:
    return max(_COLUMN - len(before) - len(text), 1)


def tell(lines: list[str]) -> list[str]:
    """The lines that were shortened."""
    texts: dict[str, str] = {}
    states: dict[str, str] = {}

    def state(found: re.Match[str]) -> str:
        name, text = found.groups()
        if text is not None:
            states[name] = text
        return f"{name}={states[name]}"

    out = []
    for line in lines:
        line = _ANY_STATE.sub(state, line)
        if listed := _LISTED.match(line):
            texts[listed[1]] = listed[2]
        elif found := _SHORT.search(line):
            before, behind, text = line[: found.end() - 1], line[found.end() :], texts[found[1]]
            if behind.startswith(ALIGNED):
                behind = " " * _blanks(before, text) + "; " + behind[1:]
            line = before + text + behind
        out.append(line)
    return out

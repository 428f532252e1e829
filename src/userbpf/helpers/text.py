"""Text for people: trace_printk, trace_vprintk, snprintf, and the format language that the three share.

Conversions, errnos and output are those that Linux documents for bpf_trace_printk and bpf_snprintf: `%d %i %u %x %c %s
%p %px %pK %pB %pks %pus %pi4 %pI4 %pi6 %pI6` with `l` and `ll`, width and `0`, `-`, `#`, `+` flags.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import re
from typing import Any

from userbpf.abi.enums import HelperId
from userbpf.helpers.base import M64, python_body

_SPEC = re.compile(
    r"%(?:(?P<percent>%)|(?P<flags>[-+ #0]*)(?P<width>\d*)(?:\.(?P<prec>\d+))?"
    r"(?:(?P<ip>p[iI][46])|(?P<ptr>p[xKBSs]|pks|pus|p)|(?P<len>ll|l|h|hh|z)?(?P<conv>[dioucxXs])))"
)
MAX_STRING = 512
MAX_TRACE_ARGS = 3
MAX_VARARGS = 12
TRACE_BUFFER = 1024


class BadFormat(ValueError):
    """The format string is not one that Linux takes: -EINVAL."""


def read_string(kernel: Any, addr: int, limit: int = MAX_STRING) -> bytes:
    """A NUL-terminated string at any address; empty where it cannot be read."""
    out = bytearray()
    while len(out) < limit:
        step = min(64 - (addr + len(out)) % 64, limit - len(out))
        try:
            piece = kernel.memory.read(addr + len(out), step)
        except OSError:
            return bytes(out)
        end = piece.find(b"\0")
        if end >= 0:
            return bytes(out + piece[:end])
        out += piece
    return bytes(out)


def signed(value: int, bits: int) -> int:
    """The low bits as a two's complement number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def convert(kernel: Any, m: re.Match[str], value: int) -> str:
    """One conversion of one argument."""
    flags, width, prec = m["flags"], m["width"], m["prec"]
    if m["ip"]:
        size = 4 if m["ip"][2] == "4" else 16
        try:
            raw = kernel.memory.read(value, size)
        except OSError:
            raw = bytes(size)
        addr = ipaddress.ip_address(raw)
        if m["ip"][1] == "I":
            return str(addr) if size == 4 else addr.exploded
        return ".".join(f"{b:03d}" for b in raw) if size == 4 else addr.exploded.replace(":", "")
    if m["ptr"] in ("pks", "pus") or m["conv"] == "s":
        text = read_string(kernel, value).decode("utf-8", "replace")
        if prec is not None:
            text = text[: int(prec)]
    elif m["ptr"]:
        text = f"{value:016x}"
    elif m["conv"] == "c":
        text = chr(value & 0xFF)
    else:
        bits = {"ll": 64, "l": 64, "z": 64, "h": 16, "hh": 8}.get(m["len"] or "", 32)
        if m["conv"] in "di":
            number = signed(value, bits)
            text = f"{number:+d}" if "+" in flags else f"{number: d}" if " " in flags else str(number)
        else:
            number = value & (1 << bits) - 1
            text = {"u": f"{number}", "x": f"{number:x}", "X": f"{number:X}", "o": f"{number:o}"}[m["conv"]]
            if "#" in flags and m["conv"] in "xX" and number:
                text = "0x" + text
    if width:
        if "-" in flags:
            return text.ljust(int(width))
        if "0" in flags and not m["ptr"] and m["conv"] != "s":
            sign = text[:1] if text[:1] in "+- " else ""
            return sign + text[len(sign) :].rjust(int(width) - len(sign), "0")
        return text.rjust(int(width))
    return text


def expand(kernel: Any, fmt: bytes, args: list[int]) -> bytes:
    """The text of a format and its arguments; BadFormat for an unknown conversion or too few arguments."""
    text = fmt.decode("latin-1")
    out: list[str] = []
    at = used = 0
    while True:
        nxt = text.find("%", at)
        if nxt < 0:
            out.append(text[at:])
            return "".join(out).encode("latin-1", "replace")
        out.append(text[at:nxt])
        m = _SPEC.match(text, nxt)
        if m is None:
            raise BadFormat(f"unknown conversion at {nxt} in {text!r}")
        if m["percent"]:
            out.append("%")
        else:
            if used >= len(args):
                raise BadFormat(f"more conversions than arguments in {text!r}")
            out.append(convert(kernel, m, args[used] & M64))
            used += 1
        at = m.end()


def format_at(fmt: int, size: int) -> bytes:
    """The format string in the program's memory; it must end in NUL."""
    raw = ctypes.string_at(fmt, size)
    if not size or raw[-1]:
        raise BadFormat("the format does not end in NUL")
    body = raw.split(b"\0", 1)[0]
    if any(c >= 0x80 or (c < 32 and c not in b"\t\n\v\f\r") for c in body):
        raise BadFormat("the format holds bytes that cannot be printed")
    return body


@python_body(HelperId.trace_printk)
def trace_printk(kernel: Any, rt: int, fmt: int, size: int, a1: int, a2: int, a3: int) -> int:
    """Print to the kernel object's trace; the number of bytes, or -EINVAL."""
    return print_trace(kernel, rt, fmt, size, [a1, a2, a3])


def print_trace(kernel: Any, rt: int, fmt: int, size: int, args: list[int]) -> int:
    """Expand and hand one line to the trace."""
    try:
        text = expand(kernel, format_at(fmt, size & 0xFFFFFFFF), args)[: TRACE_BUFFER - 1]
    except BadFormat:
        return -errno.EINVAL
    kernel.trace(text.decode("latin-1"), ctypes.c_uint32.from_address(rt).value)
    return len(text)


def arguments_at(data: int, data_len: int) -> list[int]:
    """The u64 array of a vararg helper."""
    if data_len & 7 or data_len > MAX_VARARGS * 8 or (data_len and not data):
        raise BadFormat("data_len")
    return list((ctypes.c_uint64 * (data_len // 8)).from_address(data)) if data_len else []


@python_body(HelperId.trace_vprintk)
def trace_vprintk(kernel: Any, rt: int, fmt: int, size: int, data: int, data_len: int, _: int = 0) -> int:
    """As trace_printk with an array of arguments."""
    try:
        return print_trace(kernel, rt, fmt, size, arguments_at(data, data_len & 0xFFFFFFFF))
    except BadFormat:
        return -errno.EINVAL


@python_body(HelperId.snprintf)
def snprintf(kernel: Any, rt: int, out: int, out_size: int, fmt: int, data: int, data_len: int) -> int:
    """Format into the program's memory, NUL included and cut to out_size; the full length with the NUL."""
    out_size &= 0xFFFFFFFF
    try:
        text = expand(kernel, read_string(kernel, fmt), arguments_at(data, data_len & 0xFFFFFFFF)) + b"\0"
    except BadFormat:
        return -errno.EINVAL
    if out_size:
        cut = text if len(text) <= out_size else text[: out_size - 1] + b"\0"
        ctypes.memmove(out, cut, len(cut))
    return len(text)


def probe(kernel: Any, dst: int, size: int, src: int) -> int:
    """Copy from any address; -EFAULT and zeroes where it cannot be read."""
    size &= 0xFFFFFFFF
    try:
        data = kernel.memory.read(src, size)
    except OSError:
        ctypes.memset(dst, 0, size)
        return -errno.EFAULT
    ctypes.memmove(dst, data, size)
    return 0


@python_body(
    HelperId.probe_read,
    HelperId.probe_read_kernel,
    HelperId.probe_read_user,
    HelperId.copy_from_user,
)
def probe_read(kernel: Any, rt: int, dst: int, size: int, src: int, _4: int = 0, _5: int = 0) -> int:
    """Copy `size` bytes from an address of this process; there is no other address space behind a test run."""
    return probe(kernel, dst, size, src)


@python_body(HelperId.probe_read_str, HelperId.probe_read_kernel_str, HelperId.probe_read_user_str)
def probe_read_str(kernel: Any, rt: int, dst: int, size: int, src: int, _4: int = 0, _5: int = 0) -> int:
    """Copy a string with its NUL, cut to `size`; its length with the NUL, or -EFAULT."""
    size &= 0xFFFFFFFF
    if not size:
        return 0
    try:
        kernel.memory.read(src, 1)
    except OSError:
        ctypes.memset(dst, 0, size)
        return -errno.EFAULT
    text = read_string(kernel, src, size)[: size - 1] + b"\0"
    ctypes.memmove(dst, text, len(text))
    return len(text)

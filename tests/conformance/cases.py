"""Cases for everything that is not arithmetic: text, packet before and after, r0.

A program is an XDP program (r0 counts as u32 then, as in Linux) unless its name begins with `skb`: then it is a socket
filter or tc program. `PACKET n` stands for a check that leaves the packet's address in r6 and its end in r7, with n bytes
proven.
"""

from __future__ import annotations

from dataclasses import dataclass

from userbpf.abi.enums import ProgType

COUNT_UP = bytes(range(0x81, 0xA1))  # 81 82 83 ... a0: every signed byte is negative


@dataclass(frozen=True)
class Case:
    """`after` is the packet after the run, None where it stays as it was.

    `linux` is False where Linux leaves the result open, `verified` where the verifier wants BTF that the text cannot give.
    """

    name: str
    text: str
    r0: int
    packet: bytes = COUNT_UP
    after: bytes | None = None
    prog_type: ProgType = ProgType.XDP
    linux: bool = True
    verified: bool = True

    @property
    def source(self) -> str:
        """The text with `PACKET n` written out."""
        lines = []
        for line in self.text.strip().splitlines():
            word, _, n = line.strip().partition(" ")
            lines.append(CHECK.format(n=n) if word == "PACKET" else line)
        return "\n".join(lines)


CHECK = """
r6 = *(u32 *)(r1 +0)
r7 = *(u32 *)(r1 +4)
r8 = r6
r8 += {n}
if r8 <= r7 goto packet
r0 = 0x7ead
exit
packet:"""


def put(at: int, *values: int, size: int = 8, packet: bytes = COUNT_UP) -> bytes:
    """The packet with values written at an offset."""
    new = b"".join((v & (1 << size * 8) - 1).to_bytes(size, "little") for v in values)
    return packet[:at] + new + packet[at + len(new) :]


def _loads() -> list[Case]:
    out = []
    for size in (1, 2, 4, 8):
        raw = int.from_bytes(COUNT_UP[3 : 3 + size], "little")
        text = f"PACKET 32\nr1 = *(u{size * 8} *)(r6 +3)\n*(u64 *)(r6 +16) = r1\nr0 = 0\nexit"
        out.append(Case(f"ldx{size * 8}", text, 0, after=put(16, raw)))
        if size < 8:
            text = text.replace("(u", "(s", 1)
            out.append(Case(f"ldxs{size * 8}", text, 0, after=put(16, raw - (1 << size * 8))))
            small = bytes([1] * 32)
            positive = int.from_bytes(small[:size], "little")
            out.append(Case(f"ldxs{size * 8} positive", text, 0, small, put(16, positive, packet=small)))
    return out


def _stores() -> list[Case]:
    out = []
    for size in (1, 2, 4, 8):
        cut = 0x1122334455667788
        text = f"PACKET 32\nr1 = 0x1122334455667788 ll\n*(u{size * 8} *)(r6 +5) = r1\nr0 = 0\nexit"
        out.append(Case(f"stx{size * 8}", text, 0, after=put(5, cut, size=size)))
        text = f"PACKET 32\n*(u{size * 8} *)(r6 +7) = -2\nr0 = 0\nexit"
        out.append(Case(f"st{size * 8}", text, 0, after=put(7, -2, size=size)))
    return out


def _atomics() -> list[Case]:
    """On a stack slot between two guards; what was fetched and the slot go to the packet."""
    a, b = 0x00FF00FF_8000_0001, 0x0F0F0F0F_FFFF_FFFF
    meaning = {
        "add": ("+=", a + b),
        "and": ("&=", a & b),
        "or": ("|=", a | b),
        "xor": ("^=", a ^ b),
        "xchg": ("", b),
    }
    out = []
    for size in (4, 8):
        mask = (1 << size * 8) - 1
        kind, wide = f"u{size * 8}", "64" if size == 8 else ""
        for name, (sign, result) in meaning.items():
            new = result & mask | a & ~mask
            head = (
                f"PACKET 32\nr1 = {a:#x} ll\n*(u64 *)(r10 -16) = r1\n*(u64 *)(r10 -8) = 7\n*(u64 *)(r10 -24) = 9\n"
                f"r2 = {b:#x} ll\n"
            )
            tail = (
                "r1 = *(u64 *)(r10 -16)\n*(u64 *)(r6 +0) = r1\n*(u64 *)(r6 +8) = r2\n"
                "r1 = *(u64 *)(r10 -8)\n*(u64 *)(r6 +16) = r1\nr1 = *(u64 *)(r10 -24)\n*(u64 *)(r6 +24) = r1\nr0 = 0\nexit"
            )
            if sign:
                text = f"{head}lock *({kind} *)(r10 -16) {sign} r2\n{tail}"
                out.append(Case(f"atomic{size * 8}_{name}", text, 0, after=put(0, new, b, 7, 9)))
            what = f"fetch_{name}" if sign else name
            text = f"{head}r2 = atomic{wide}_{what}(({kind} *)(r10 -16), r2)\n{tail}"
            out.append(Case(f"atomic{size * 8}_{what}", text, 0, after=put(0, new, a & mask, 7, 9)))
        for hit in (True, False):
            expected = a if hit else a ^ 1
            text = (
                f"PACKET 32\nr1 = {a:#x} ll\n*(u64 *)(r10 -8) = r1\nr2 = {b:#x} ll\nr0 = {expected:#x} ll\n"
                f"r0 = atomic{wide}_cmpxchg(({kind} *)(r10 -8), r0, r2)\n*(u64 *)(r6 +0) = r0\n"
                "r1 = *(u64 *)(r10 -8)\n*(u64 *)(r6 +8) = r1\nr0 = 0\nexit"
            )
            new = (b & mask | a & ~mask) if hit else a
            out.append(
                Case(f"atomic{size * 8}_cmpxchg {'hit' if hit else 'miss'}", text, 0, after=put(0, a & mask, new))
            )
    return out


def _ordered() -> list[Case]:
    out = []
    for size in (1, 2, 4, 8):
        mask = (1 << size * 8) - 1
        value = 0x88776655_44332211
        text = (
            f"PACKET 32\nr1 = {value:#x} ll\n*(u64 *)(r10 -8) = 0\n*(u64 *)(r10 -16) = r1\n"
            f"store_release((u{size * 8} *)(r10 -8), r1)\nr2 = load_acquire((u{size * 8} *)(r10 -16))\n"
            "r1 = *(u64 *)(r10 -8)\n*(u64 *)(r6 +0) = r1\n*(u64 *)(r6 +8) = r2\nr0 = 0\nexit"
        )
        out.append(
            Case(f"load_acquire{size * 8} store_release{size * 8}", text, 0, after=put(0, value & mask, value & mask))
        )
    return out


JUMPS = [
    Case("ja", "r0 = 1\ngoto l\nm: r0 += 2\nexit\nl: r0 += 4\ngoto m", 7),
    Case("gotol", "r0 = 1\ngotol l\nm: r0 += 4\nexit\nl: r0 += 2\ngotol m", 7),
    Case("loop", "r0 = 0\nr1 = 100\nl: r0 += r1\nr1 += -1\nif r1 != 0 goto l\nexit", 5050),
    Case(
        "may_goto",
        "r0 = 0\nl: may_goto out\nr0 += 1\nif r0 < 1000 goto l\nout: exit",
        1000,
    ),
    Case(
        "jump to the next instruction",
        "PACKET 32\nr1 = *(u8 *)(r6 +0)\nif r1 == 5 goto n\nn: r0 = 3\nexit",
        3,
    ),
    Case("lddw", "r0 = 0x1122334455667788 ll\nr0 >>= 32\nexit", 0x11223344),
    Case("lddw above s32", "r0 = 0xffffffff80000000 ll\nr0 >>= 40\nexit", 0xFFFFFF),
]

STACK = [
    Case(
        "spilled pointer",
        "PACKET 32\n*(u64 *)(r10 -8) = r6\nr6 = 0\nr5 = *(u64 *)(r10 -8)\nr0 = *(u8 *)(r5 +2)\nexit",
        0x83,
    ),
    Case(
        "pieces of a spilled word",
        "r1 = 0x1122334455667788 ll\n*(u64 *)(r10 -8) = r1\nr0 = *(u8 *)(r10 -7)\n"
        "r2 = *(u16 *)(r10 -4)\nr0 <<= 16\nr0 |= r2\nexit",
        0x77 << 16 | 0x3344,
    ),
    Case(
        "variable offset",
        "PACKET 32\n*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -8) = 0\nr1 = *(u8 *)(r6 +0)\nr1 &= 15\nr2 = r10\nr2 += -16\n"
        "r2 += r1\nr3 = 0x5a\n*(u8 *)(r2 +0) = r3\nr0 = *(u16 *)(r10 -16)\nexit",
        0x5A00,
    ),
    Case(
        "what was never written reads as 0",
        "r0 = *(u64 *)(r10 -24)\n*(u8 *)(r10 -24) = 1\nr1 = *(u64 *)(r10 -24)\nr0 += r1\nexit",
        1,
        linux=False,
    ),
    Case(
        "pointer minus pointer",
        "PACKET 32\nr1 = r7\nr1 -= r6\nr0 = r1\nexit",
        32,
    ),
    Case(
        "scalar plus pointer",
        "PACKET 32\nr1 = *(u8 *)(r6 +1)\nr1 &= 7\nr1 += r6\nr0 = 0\nr2 = r1\nr2 += 4\nif r2 > r7 goto l\n"
        "r0 = *(u8 *)(r1 +1)\nl: exit",
        COUNT_UP[(0x82 & 7) + 1],
    ),
    Case(
        "pointer or null, joined",
        "PACKET 32\nr8 = 0\nr1 = *(u8 *)(r6 +0)\nif r1 == 0 goto l\nr8 = r6\n"
        "l: r0 = 1\nif r8 == 0 goto m\nr0 = *(u8 *)(r6 +4)\nm: exit",
        0x85,
    ),
]

CALLS = [
    Case(
        "call keeps r6 to r9",
        "r6 = 6\nr7 = 7\nr8 = 8\nr9 = 9\nr1 = 1\ncall f\nr0 += r6\nr0 += r7\nr0 += r8\nr0 += r9\nexit\n"
        "f: r6 = 100\nr7 = 100\nr8 = 100\nr9 = 100\nr0 = r1\nexit",
        31,
    ),
    Case(
        "five arguments",
        "r1 = 1\nr2 = 2\nr3 = 3\nr4 = 4\nr5 = 5\ncall f\nexit\n"
        "f: r0 = r1\nr0 *= 10\nr0 += r2\nr0 *= 10\nr0 += r3\nr0 *= 10\nr0 += r4\nr0 *= 10\nr0 += r5\nexit",
        12345,
    ),
    Case(
        "own frame",
        "*(u64 *)(r10 -8) = 5\nr1 = r10\nr1 += -8\ncall f\nr1 = *(u64 *)(r10 -8)\nr0 += r1\nexit\n"
        "f: *(u64 *)(r10 -8) = 70\nr2 = *(u64 *)(r1 +0)\nr2 += 1\n*(u64 *)(r1 +0) = r2\nr0 = *(u64 *)(r10 -8)\nexit",
        76,
    ),
    Case(
        "eight frames",
        "r1 = 0\ncall a\nexit\n"
        + "".join(f"{f}: r1 += 1\ncall {g}\nr0 += 1\nexit\n" for f, g in zip("abcdef", "bcdefg", strict=True))
        + "g: r0 = r1\nexit",
        12,
    ),
    Case(
        "packet pointer as argument",
        "PACKET 32\nr1 = r6\nr2 = r7\ncall f\nexit\n"
        "f: r0 = 0\nr3 = r1\nr3 += 9\nif r3 > r2 goto l\nr0 = *(u8 *)(r1 +8)\nl: exit",
        0x89,
    ),
    Case(
        "bpf_loop",
        "*(u64 *)(r10 -8) = 0\nr1 = 10\nr2 = func f ll\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_loop\n"
        "r1 = *(u64 *)(r10 -8)\nr1 &= 0xffff\nr0 <<= 16\nr0 |= r1\nexit\n"
        "f: r3 = *(u64 *)(r2 +0)\nr3 += r1\n*(u64 *)(r2 +0) = r3\nr0 = 0\nexit",
        10 << 16 | 45,
        verified=False,
    ),
    Case(
        "bpf_loop stopped",
        "*(u64 *)(r10 -8) = 0\nr1 = 10\nr2 = func f ll\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_loop\nexit\n"
        "f: r0 = 0\nif r1 != 6 goto l\nr0 = 1\nl: exit",
        7,
        verified=False,
    ),
    Case(
        "bpf_loop with flags",
        "r1 = 10\nr2 = func f ll\nr3 = 0\nr4 = 1\ncall bpf_loop\nexit\nf: r0 = 0\nexit",
        -22 & 0xFFFFFFFF,
        verified=False,
    ),
    Case(
        "bpf_loop too long",
        "r1 = 0x800001\nr2 = func f ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\nf: r0 = 0\nexit",
        -7 & 0xFFFFFFFF,
        verified=False,
    ),
]

TCP = bytes(range(64))


def _packet_loads() -> list[Case]:
    skb = ProgType.SCHED_CLS
    out = []
    for size, letter in ((8, "u8"), (16, "u16"), (32, "u32")):
        value = int.from_bytes(TCP[5 : 5 + size // 8], "big")
        out.append(Case(f"skb ld_abs{size}", f"r6 = r1\nr0 = *({letter} *)skb[5]\nexit", value, TCP, prog_type=skb))
        text = f"r6 = r1\nr7 = 3\nr0 = *({letter} *)skb[r7 + 2]\nexit"
        out.append(Case(f"skb ld_ind{size}", text, value, TCP, prog_type=skb))
        last = 64 - size // 8
        value = int.from_bytes(TCP[last:], "big")
        out.append(
            Case(
                f"skb ld_abs{size} at the end",
                f"r6 = r1\nr0 = *({letter} *)skb[{last}]\nexit",
                value,
                TCP,
                prog_type=skb,
            )
        )
        text = f"r6 = r1\nr0 = *({letter} *)skb[{last + 1}]\nr0 = 7\nexit"
        out.append(Case(f"skb ld_abs{size} beyond the end", text, 0, TCP, prog_type=skb))
        net = int.from_bytes(TCP[14 + 2 : 16 + size // 8], "big")
        text = f"r6 = r1\nr0 = *({letter} *)skb[{-0x100000 + 2}]\nexit"
        out.append(Case(f"skb ld_abs{size} from the network header", text, net, TCP, prog_type=skb))
        link = int.from_bytes(TCP[2 : 2 + size // 8], "big")
        text = f"r6 = r1\nr0 = *({letter} *)skb[{-0x200000 + 2}]\nexit"
        out.append(Case(f"skb ld_abs{size} from the link layer", text, link, TCP, prog_type=skb))
    text = "r6 = r1\nr7 = -1\nr0 = *(u8 *)skb[r7 + 0]\nr0 = 7\nexit"
    out.append(Case("skb ld_ind8 at no header", text, 0, TCP, prog_type=skb))
    text = "r6 = r1\nr7 = 0x300000003 ll\nr0 = *(u8 *)skb[r7 + -2]\nexit"
    out.append(Case("skb ld_ind8 takes 32 bits", text, 1, TCP, prog_type=skb))
    return out


CASES: list[Case] = [*_loads(), *_stores(), *_atomics(), *_ordered(), *JUMPS, *STACK, *CALLS, *_packet_loads()]

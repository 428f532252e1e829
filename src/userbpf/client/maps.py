"""A map as a typed mapping: keys and values are what their BTF says, through any transport."""

from __future__ import annotations

import ctypes
import errno
import mmap
import struct
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from userbpf.abi.enums import MapType
from userbpf.btf import Btf
from userbpf.btf.values import Codec, Codecs, number, raw
from userbpf.client.perf import DEFAULT_PAGES, PerfBuffer
from userbpf.client.transport import Client
from userbpf.client.userring import UserRing
from userbpf.errors import BpfError

if TYPE_CHECKING:
    import numpy

T = MapType
PERCPU: Final = frozenset({T.PERCPU_HASH, T.PERCPU_ARRAY, T.LRU_PERCPU_HASH, T.PERCPU_CGROUP_STORAGE})
ARRAYS: Final = frozenset({T.ARRAY, T.PERCPU_ARRAY})
NOT_ITERABLE: Final = frozenset(
    {T.RINGBUF, T.USER_RINGBUF, T.QUEUE, T.STACK, T.BLOOM_FILTER, T.PERF_EVENT_ARRAY, T.ARENA}
)
# the syscall takes descriptors and gives ids
OF_DESCRIPTORS: Final = frozenset({T.PROG_ARRAY, T.ARRAY_OF_MAPS, T.HASH_OF_MAPS})
SPARSE: Final = frozenset({T.PROG_ARRAY, T.ARRAY_OF_MAPS})
INDEXED: Final = ARRAYS | SPARSE
BATCH: Final = 4096
BUSY, DISCARD = 1 << 31, 1 << 30
PAGE: Final = mmap.PAGESIZE


def descriptor() -> Codec:
    """A program or map: written as its descriptor (or what has an `fd`), read as its id."""
    plain = number(4, False)
    return Codec(4, plain.decode, lambda value: plain.encode(getattr(value, "fd", value)))


def possible_cpus(client: Client) -> int:
    """How many values a per-CPU map has at the syscall."""
    if client.kernel is not None:
        return client.kernel.ncpu
    with open("/sys/devices/system/cpu/possible") as f:
        last = f.read().strip().split(",")[-1]
    return int(last.rpartition("-")[2]) + 1


class Map(MutableMapping[Any, Any]):
    """`m[key]` takes records, tuples, dicts, ints, bytes and ip addresses, and gives records, ints or bytes.

    A per-CPU map's value is a list, one element a CPU. A missing key is KeyError; any other failure is BpfError.
    """

    def __init__(self, client: Client, fd: int, name: str = "", btf: Btf | None = None) -> None:
        self.client = client
        self.fd = fd
        info = client.map_info(fd)
        self.info = info
        self.name = name or info.name.split(b"\0")[0].decode()
        self.map_type = MapType(info.type)
        self.key_size: int = info.key_size
        self.value_size: int = info.value_size
        self.max_entries: int = info.max_entries
        self.btf = btf
        self.key_codec, self.value_codec = self._codecs(btf)
        self.cpus = possible_cpus(client) if self.map_type in PERCPU else 0
        self._stride = self.value_size + 7 & ~7
        self.value_len = self._stride * self.cpus if self.cpus else self.value_size
        self._ring: Ring | None = None
        self._perf: PerfBuffer | None = None
        self._user_ring: UserRing | None = None

    def _codecs(self, btf: Btf | None) -> tuple[Codec, Codec]:
        """How keys and values are read: by BTF where the sizes agree, as integers of 4 bytes for index keys, else bytes."""
        out = []
        for type_id, size in (
            (self.info.btf_key_type_id, self.key_size),
            (self.info.btf_value_type_id, self.value_size),
        ):
            found = raw(size)
            if btf is not None and type_id and self.map_type not in OF_DESCRIPTORS:
                by_type = Codecs(btf).of(type_id)
                found = by_type if by_type.size == size else found
            out.append(found)
        if self.map_type in INDEXED:
            out[0] = number(4, False)
        if self.map_type in OF_DESCRIPTORS:
            out[1] = descriptor()
        return out[0], out[1]

    # --- what it is --------------------------------------------------------------------------------------------------------

    @property
    def is_array(self) -> bool:
        """All keys exist from the beginning."""
        return self.map_type in ARRAYS

    @property
    def is_ringbuf(self) -> bool:
        return self.map_type == T.RINGBUF

    @property
    def is_iterable(self) -> bool:
        """Whether the map has keys to go through."""
        return self.map_type not in NOT_ITERABLE

    def is_zero(self, value: Any) -> bool:
        """Whether a value is all zero bytes."""
        return not any(self._value_out(value))

    def __repr__(self) -> str:
        return f"<Map {self.name!r} {self.map_type.name} fd={self.fd}>"

    # --- mapping -----------------------------------------------------------------------------------------------------------

    def _key_out(self, key: Any) -> bytes:
        return self.key_codec.encode(key)

    def _value_in(self, data: bytes) -> Any:
        if not self.cpus:
            return self.value_codec.decode(data)
        return [self.value_codec.decode(data[i * self._stride :][: self.value_size]) for i in range(self.cpus)]

    def _value_out(self, value: Any) -> bytes:
        if not self.cpus:
            return self.value_codec.encode(value)
        values = list(value) if isinstance(value, (list, tuple)) else [value] * self.cpus
        if len(values) != self.cpus:
            raise ValueError(f"{len(values)} values for {self.cpus} CPUs")
        return b"".join(self.value_codec.encode(v).ljust(self._stride, b"\0") for v in values)

    def __getitem__(self, key: Any) -> Any:
        try:
            return self._value_in(self.client.map_lookup_elem(self.fd, self._key_out(key), self.value_len))
        except BpfError as e:
            if e.errno == errno.ENOENT:
                raise KeyError(key) from None
            raise

    def __setitem__(self, key: Any, value: Any) -> None:
        self.update_elem(key, value)

    def update_elem(self, key: Any, value: Any, flags: int = 0) -> None:
        """BPF_MAP_UPDATE_ELEM with flags (BPF_NOEXIST, BPF_EXIST)."""
        self.client.map_update_elem(self.fd, self._key_out(key), self._value_out(value), flags)

    def __delitem__(self, key: Any) -> None:
        try:
            self.client.map_delete_elem(self.fd, self._key_out(key))
        except BpfError as e:
            if e.errno == errno.ENOENT:
                raise KeyError(key) from None
            raise

    def __contains__(self, key: object) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[Any]:
        if self.map_type in SPARSE:  # the syscall tells all indices, those without content too
            yield from (key for key, _ in self._items())
            return
        for key in self.client.map_keys(self.fd, self.key_size):
            yield self.key_codec.decode(key)

    def __len__(self) -> int:
        if self.is_array:
            return self.max_entries
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return True  # a map that is empty is still a map

    def items(self) -> Any:
        """(key, value) pairs; entries deleted meanwhile are passed over."""
        return self._items()

    def _items(self) -> Iterator[tuple[Any, Any]]:
        for key in self.client.map_keys(self.fd, self.key_size):
            try:
                value = self.client.map_lookup_elem(self.fd, key, self.value_len)
            except BpfError as e:
                if e.errno == errno.ENOENT:
                    continue
                raise
            yield self.key_codec.decode(key), self._value_in(value)

    # --- batches -----------------------------------------------------------------------------------------------------------

    def to_numpy(self) -> tuple[numpy.ndarray[Any, Any], numpy.ndarray[Any, Any]]:
        """(keys, values) as arrays of bytes of shape (n, key_size) and (n, value bytes), by BPF_MAP_LOOKUP_BATCH."""
        import numpy as np

        keys, values = bytearray(), bytearray()
        for _, k, v in self.client.map_lookup_batch(self.fd, self.key_size, self.value_len, BATCH):
            keys += k
            values += v
        return (
            np.frombuffer(bytes(keys), np.uint8).reshape(-1, self.key_size),
            np.frombuffer(bytes(values), np.uint8).reshape(-1, self.value_len),
        )

    def update_numpy(self, keys: Any, values: Any) -> None:
        """Set many entries from arrays whose rows have the bytes of keys and values, by BPF_MAP_UPDATE_BATCH."""
        import numpy as np

        k, v = np.ascontiguousarray(keys), np.ascontiguousarray(values)
        n = len(k)
        if k.nbytes != n * self.key_size or v.nbytes != n * self.value_len:
            raise ValueError(
                f"{k.nbytes} and {v.nbytes} bytes for {n} entries of {self.key_size} and {self.value_len} bytes"
            )
        if n:
            self.client.map_update_batch(self.fd, k.tobytes(), v.tobytes(), n)

    # --- ring buffers ------------------------------------------------------------------------------------------------------

    def ringbuf(self) -> Iterator[bytes]:
        """The records that have been submitted and not yet read; reading takes them out."""
        if not self.is_ringbuf:
            raise TypeError(f"{self.name} is no ring buffer")
        if self._ring is None:
            self._ring = Ring(self.fd, self.max_entries)
        return self._ring.records()

    def user_ring(self) -> UserRing:
        """The producer's side of a USER_RINGBUF: `.write(record)`."""
        if self.map_type != T.USER_RINGBUF:
            raise TypeError(f"{self.name} is no user ring buffer")
        if self._user_ring is None:
            self._user_ring = UserRing(self.fd, self.max_entries)
        return self._user_ring

    # --- perf buffers ------------------------------------------------------------------------------------------------------

    @property
    def is_perf(self) -> bool:
        return self.map_type == T.PERF_EVENT_ARRAY

    def perf_buffer(self, pages: int = DEFAULT_PAGES) -> PerfBuffer:
        """The rings behind a PERF_EVENT_ARRAY, opened at the first call: `.read()` yields records, `.lost` counts."""
        if not self.is_perf:
            raise TypeError(f"{self.name} is no perf event array")
        if self._perf is None:
            self._perf = PerfBuffer(self, pages)
        return self._perf

    def close(self) -> None:
        if self._ring is not None:
            self._ring.close()
        if self._perf is not None:
            self._perf.close()
        if self._user_ring is not None:
            self._user_ring.close()


class Ring:
    """The consumer's side of a ring buffer: page 0 is ours to write, then the producer's page and the data twice."""

    def __init__(self, fd: int, size: int) -> None:
        self.size = size
        self.consumer = mmap.mmap(fd, PAGE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self.shared = mmap.mmap(fd, PAGE + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=PAGE)
        self.position = ctypes.c_uint64.from_buffer(self.consumer)

    def records(self) -> Iterator[bytes]:
        while True:
            at = self.position.value
            (produced,) = struct.unpack_from("<Q", self.shared)
            if at >= produced:
                return
            header = PAGE + at % self.size
            (length,) = struct.unpack_from("<I", self.shared, header)
            if length & BUSY:
                return
            size = length & ~(BUSY | DISCARD)
            record = self.shared[header + 8 : header + 8 + size]
            self.position.value = at + (size + 8 + 7 & ~7)
            if not length & DISCARD:
                yield record

    def close(self) -> None:
        del self.position
        self.consumer.close()
        self.shared.close()

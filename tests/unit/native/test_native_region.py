"""Regions: shared memory behind a real descriptor."""

from __future__ import annotations

import errno
import mmap
import os

import pytest

from userbpf.native import Region, load64, store64


def test_every_mapping_sees_the_same_bytes() -> None:
    with Region.create("bpf-map.7", 100) as region:
        assert region.size == mmap.PAGESIZE
        assert region.addr % mmap.PAGESIZE == 0
        assert bytes(region.map[:16]) == bytes(16)
        store64(region.addr, 0x1122334455667788)
        with Region.from_fd(region.fd) as other:
            assert other.addr != region.addr
            assert load64(other.addr) == 0x1122334455667788
            assert other.identity() == region.identity()
            store64(other.addr + 8, 5)
        assert load64(region.addr + 8) == 5


def test_the_name_shows_in_proc() -> None:
    with Region.create("bpf-map.7", 1) as region:
        assert "bpf-map.7" in os.readlink(f"/proc/self/fd/{region.fd}")


def test_descriptors_are_not_inherited() -> None:
    with Region.create("bpf-map", 1) as region:
        assert not os.get_inheritable(region.fd)


def test_read_only_reopening() -> None:
    with Region.create("bpf-map", 1) as region:
        fd = region.reopen_readonly()
        try:
            with Region.from_fd(fd, writable=False) as view:
                store64(region.addr, 99)
                assert load64(view.addr) == 99
            with pytest.raises(OSError) as e:
                mmap.mmap(fd, region.size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
            assert e.value.errno == errno.EACCES
        finally:
            os.close(fd)


def test_close_frees_the_descriptor_once() -> None:
    region = Region.create("bpf-map", 1)
    fd = region.fd
    region.close()
    region.close()
    with pytest.raises(OSError):
        os.fstat(fd)


def test_a_failed_mapping_leaves_no_descriptor() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises((OSError, ValueError, OverflowError)):
        Region.create("bpf-map", 1 << 62)
    assert set(os.listdir("/proc/self/fd")) == before

from pathlib import Path

import numpy as np
import pytest
from sets_by_hand import write_tfrecord

from train.data.tfds import tfrecord


def test_checksums_are_those_of_the_standard() -> None:
    """Check values of RFC 3720, appendix B.4, and of the CRC catalogue."""
    assert tfrecord.crc32c([b"123456789", bytes(32), b"\xff" * 32, bytes(range(32))]).tolist() == [
        0xE3069283,
        0x8A9136AA,
        0x62A8AB43,
        0x46DD794E,
    ]


def test_checksums_of_any_length_agree_with_another_implementation() -> None:
    from tensorboardX.crc32c import crc32c

    rng = np.random.default_rng(0)
    payloads = [rng.bytes(length) for length in (4, 5, 15, 16, 17, 255, 256, 257, 1000, 4097)]
    assert tfrecord.crc32c(payloads).tolist() == [crc32c(payload) for payload in payloads]


def test_records_are_found_and_read(tmp_path: Path) -> None:
    payloads = [bytes([i]) * (10 * i + 4) for i in range(20)]
    write_tfrecord(tmp_path / "file", payloads)
    spans = tfrecord.scan(tmp_path / "file")
    assert tfrecord.read(tmp_path / "file", spans) == payloads
    assert tfrecord.read(tmp_path / "file", spans[[7, 3]]) == [payloads[7], payloads[3]]
    assert tfrecord.read(tmp_path / "file", spans[:0]) == []


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_tfrecord(path, [b"first record", b"second"])
    whole = path.read_bytes()
    for at in range(len(whole)):
        broken = bytearray(whole)
        broken[at] ^= 1
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"checksum|beyond the end"):
            tfrecord.read(path, tfrecord.scan(path))
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        if length != 28:  # the end of the first record: a whole file of one
            with pytest.raises(ValueError, match=r"beyond the end|checksum"):
                tfrecord.scan(path)


def test_one_long_record_costs_no_more_than_itself() -> None:
    """256 records beside one of a megabyte were all padded to a megabyte: 0.9 GB, 38.7 s."""
    payloads = [bytes([i]) * 1000 for i in range(256)] + [bytes(1 << 20)]
    shapes = []

    def recorded(some: list[bytes], lanes: int) -> np.ndarray:
        shapes.append((len(some), lanes * tfrecord.LANE))
        return np.zeros(len(some), np.uint32)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfrecord, "_of_lanes", recorded)
        tfrecord.crc32c(payloads)
    assert shapes == [(256, 1024), (1, 1 << 20)]


def test_records_of_all_lengths_have_the_checksums_that_they_have_alone() -> None:
    payloads = [bytes(range(256)) * 9][:1] + [bytes([i % 7]) * i for i in (4, 5, 15, 16, 17, 300, 4096, 4097)]
    together = tfrecord.crc32c(payloads)
    assert together.tolist() == [int(tfrecord.crc32c([one])[0]) for one in payloads]
    assert tfrecord.crc32c([b"123456789"]).tolist() == [0xE3069283]  # the check value of CRC-32C

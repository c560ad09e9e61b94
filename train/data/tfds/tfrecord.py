"""Read TFRECORD files without TensorFlow: find each record and verify its checksums.

The format (tensorflow/core/lib/io/record_writer.h): length uint64, masked CRC-32C of those 8 bytes, payload, masked
CRC-32C of the payload; all little-endian.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

HEADER = 12
"""Bytes before the payload. 4 bytes follow it."""
LANE = 16
"""Bytes of one lane in `crc32c`."""


def _table() -> np.ndarray:
    """Return the CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) of each byte, uint32 (256,)."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ np.where(table & 1, np.uint32(0x82F63B78), np.uint32(0))
    return table


TABLE = _table()


def _apply(operator: np.ndarray, registers: np.ndarray) -> np.ndarray:
    """Apply a linear map over GF(2) to registers. `operator` uint32 (32,) is the image of each bit."""
    result = np.zeros_like(registers)
    for bit in range(32):
        result ^= operator[bit] * ((registers >> bit) & 1)
    return result


def crc32c(payloads: Sequence[bytes]) -> np.ndarray:
    """Return the CRC-32C of each payload (of at least 4 bytes), uint32 (N,).

    In Python, one byte at a time would take longer than decoding the images. The register is linear over GF(2), so each
    payload is divided into lanes that are computed together. Then neighboring lanes are joined: the register of the
    left lane is advanced over as many zero bytes as the right lane has. Leading zeros change nothing, so payloads are
    padded in front to a power of two, and those of one such length are computed together.
    """
    sums = np.zeros(len(payloads), np.uint32)
    lanes = np.array([1 << max(0, (len(each) - 1).bit_length() - LANE.bit_length() + 1) for each in payloads])
    for count in np.unique(lanes):
        alike = np.flatnonzero(lanes == count)
        sums[alike] = _of_lanes([payloads[i] for i in alike.tolist()], int(count))
    return sums


def _of_lanes(payloads: Sequence[bytes], lanes: int) -> np.ndarray:
    """Return the CRC-32C of payloads that fill at most `lanes` lanes; see `crc32c`."""
    padded = np.zeros((len(payloads), lanes * LANE), np.uint8)
    for row, payload in zip(padded, payloads, strict=True):
        row[-len(payload) :] = np.frombuffer(payload, np.uint8)
        row[row.size - len(payload) :][:4] ^= 255  # equals a register that starts with ones
    registers = np.zeros((len(payloads), lanes), np.uint32)
    carry = np.uint32(1) << np.arange(32, dtype=np.uint32)
    for column in np.moveaxis(padded.reshape(len(payloads), lanes, LANE), 2, 0):
        registers = TABLE[(registers ^ column) & 255] ^ (registers >> 8)
        carry = TABLE[carry & 255] ^ (carry >> 8)
    while registers.shape[1] > 1:
        registers = _apply(carry, registers[:, 0::2]) ^ registers[:, 1::2]
        carry = _apply(carry, carry)
    return ~registers[:, 0]


def masked(crc: np.ndarray) -> np.ndarray:
    """Return a checksum as it is stored: rotated right by 15 bits, plus a constant (a CRC of a CRC would be weak)."""
    return ((crc >> 15) | (crc << 17)) + np.uint32(0xA282EAD8)


def scan(path: Path) -> np.ndarray:
    """Return the offset and the length in bytes of each payload, int64 (N, 2). ValueError for a broken record."""
    spans, headers, sums = [], [], []
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at < size:
            file.seek(at)
            header = file.read(HEADER)
            length = int.from_bytes(header[:8], "little")
            if at + HEADER + length + 4 > size:
                raise ValueError(f"record {len(spans)} extends beyond the end of the file")
            spans.append((at + HEADER, length))
            headers.append(header[:8])
            sums.append(int.from_bytes(header[8:], "little"))
            at += HEADER + length + 4
    if headers and (broken := np.flatnonzero(masked(crc32c(headers)) != np.array(sums, np.uint32))).size:
        raise ValueError(f"the length of record {broken[0]} does not match its checksum")
    return np.array(spans, np.int64).reshape(-1, 2)


def read(path: Path, spans: np.ndarray) -> list[bytes]:
    """Return the payloads at `spans` (from `scan`). Raises ValueError where one does not match its checksum."""
    payloads, sums = [], []
    with path.open("rb") as file:
        for offset, length in spans.tolist():
            file.seek(offset)
            payloads.append(file.read(length))
            sums.append(int.from_bytes(file.read(4), "little"))
    wrong = np.flatnonzero(masked(crc32c(payloads)) != np.array(sums, np.uint32)) if payloads else np.array([])
    if wrong.size:
        raise ValueError(f"the record at byte {spans[wrong[0], 0]} does not match its checksum")
    return payloads

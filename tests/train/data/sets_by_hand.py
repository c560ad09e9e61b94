"""Records of a labelled image in the formats that TFDS writes, without TFDS."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def png(x: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(x.squeeze(2) if x.shape[2] == 1 else x).save(buffer, format="PNG")
    return buffer.getvalue()


def example(image: bytes, label: int) -> bytes:
    from tensorflow_datasets.proto import tf_example_pb2

    message = tf_example_pb2.Example()
    message.features.feature["image"].bytes_list.value.append(image)
    message.features.feature["label"].int64_list.value.append(label)
    return message.SerializeToString()


def write_array_record(path: Path, records: list[bytes]) -> None:
    from array_record.python.array_record_module import ArrayRecordWriter

    writer = ArrayRecordWriter(str(path), "group_size:1")
    for record in records:
        writer.write(record)
    writer.close()


def write_tfrecord(path: Path, records: list[bytes]) -> None:
    from tensorboardX.record_writer import RecordWriter

    writer = RecordWriter(str(path))
    for record in records:
        writer.write(record)
    writer.close()


WRITERS = {"array_record": write_array_record, "tfrecord": write_tfrecord}

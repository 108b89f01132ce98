"""Index of an mcap file: its own at the end, or one that a pass over the file builds."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from elite.errors import first_line
from elite.recordings.mcap_blocks import MOST_BYTES, Block, blocks_of, read_block
from elite.recordings.serialization import CDR, ROS1, normal_type
from elite.recordings.topics import Topic

if TYPE_CHECKING:
    from mcap.records import Channel, McapRecord, Schema

_ENCODINGS = {"ros2msg": CDR, "ros2idl": CDR, "ros1msg": ROS1}  # of messages whose channel states none


@dataclass
class McapIndex:
    """Topics of an mcap file by the id of their channel, numbers of messages, and where these are.

    Attributes:
        ends: where the file ends too early; empty = it is complete.
        damaged: first byte of each block that is not readable, as far as blocks were read, with the reason.
    """

    topics: dict[int, Topic] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)
    blocks: list[Block] = field(default_factory=list)
    ends: str = ""
    damaged: dict[int, str] = field(default_factory=dict)

    def read(self, file: BinaryIO, block: Block) -> "list[McapRecord]":
        """Return the records of a block; none of a damaged one, which is noted."""
        try:
            return read_block(file, block)
        except Exception as error:  # of any of the packages that unpack it
            self.damaged[block.start] = first_line(error)
            return []


def read_index(file: BinaryIO) -> McapIndex | None:
    """Return the index at the end of a file; None if it is missing or damaged."""
    from mcap.reader import SeekingReader

    try:
        summary = SeekingReader(file, record_size_limit=MOST_BYTES).get_summary()
    except Exception:  # damaged bytes make the package raise any kind
        return None
    if summary is None or (known := summary.statistics) is None or not summary.channels:
        return None
    if len(summary.chunk_indexes) != known.chunk_count or (known.message_count and not known.chunk_count):
        return None
    topics = {number: _topic(channel, summary.schemas) for number, channel in summary.channels.items()}
    blocks = [
        Block(
            *(chunk.chunk_start_offset, chunk.chunk_length, chunk.message_start_time, chunk.message_end_time),
            frozenset(chunk.message_index_offsets),
        )
        for chunk in summary.chunk_indexes
    ]
    return McapIndex(topics, Counter(known.channel_message_counts), blocks)


def build_index(file: BinaryIO) -> McapIndex:
    """Read a file from its start to its end, or to the byte from which it is not readable."""
    index, schemas = McapIndex(), {}
    try:
        for block in blocks_of(file):
            _add(index, schemas, block, index.read(file, block))
    except EOFError as error:
        index.ends = str(error)
    return index


def _add(index: McapIndex, schemas: "dict[int, Schema]", block: Block, records: "list[McapRecord]") -> None:
    """Note the topics and the messages of a block."""
    from mcap.records import Channel, Message, Schema

    schemas |= {record.id: record for record in records if isinstance(record, Schema)}
    index.topics |= {record.id: _topic(record, schemas) for record in records if isinstance(record, Channel)}
    if messages := [record for record in records if isinstance(record, Message)]:
        times, channels = [m.log_time for m in messages], [m.channel_id for m in messages]
        index.counts.update(channels)
        index.blocks.append(block._replace(first=min(times), last=max(times), channels=frozenset(channels)))


def _topic(channel: "Channel", schemas: "dict[int, Schema]") -> Topic:
    schema = schemas.get(channel.schema_id)
    return Topic(
        channel.topic,
        normal_type(schema.name) if schema else "",
        channel.message_encoding or _ENCODINGS.get(schema.encoding if schema else "", ""),
        schema.encoding if schema else "",
        schema.data if schema else b"",
        channel.metadata.get("offered_qos_profiles", ""),
    )

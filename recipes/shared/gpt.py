"""Writes a disk with a GUID partition table (UEFI specification 2.10, chapter 5) around file systems.

  gpt.py DISK KIND:FILE...     KIND is esp or linux

Ids are derived from the partition's number, so the same file systems give the same disk.
"""
import os
import struct
import sys
import uuid
import zlib

SECTOR = 512
ALIGNMENT = 2048
ENTRIES, ENTRY_SIZE = 128, 128
TABLE_SECTORS = ENTRIES * ENTRY_SIZE // SECTOR
KINDS = {'esp': 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b', 'linux': '0fc63daf-8483-4772-8e79-3d69d8477de4'}


def identity(name):
    return uuid.uuid5(uuid.NAMESPACE_URL, f'urn:vmbuild:disk:{name}').bytes_le


def header(own, other, table, last, entries):
    """The header at sector `own`; its copy is at `other`, its table begins at `table`, the last usable sector is `last`."""
    fields = [b'EFI PART', 0x10000, 92, 0, 0, own, other, 2 + TABLE_SECTORS, last, identity('disk'), table, ENTRIES,
              ENTRY_SIZE, zlib.crc32(entries)]
    layout = '<8sIIIIQQQQ16sQIII'
    fields[3] = zlib.crc32(struct.pack(layout, *fields))
    return struct.pack(layout, *fields).ljust(SECTOR, b'\0')


def main(disk, *partitions):
    entries, start, places = b'', ALIGNMENT, []
    for number, (kind, file) in enumerate((partition.split(':') for partition in partitions), 1):
        sectors = -(-os.path.getsize(file) // SECTOR)
        name = kind.encode('utf-16-le').ljust(72, b'\0')
        entries += struct.pack('<16s16sQQQ72s', uuid.UUID(KINDS[kind]).bytes_le, identity(number), start,
                               start + sectors - 1, 0, name)
        places.append((file, start))
        start += -(-sectors // ALIGNMENT) * ALIGNMENT
    entries = entries.ljust(ENTRIES * ENTRY_SIZE, b'\0')
    size = start + ALIGNMENT
    last = size - 1
    # The protective MBR: one partition of type 0xEE over everything.
    mbr = bytes(446) + struct.pack('<B3sB3sII', 0, b'\0\2\0', 0xee, b'\xff\xff\xff', 1, last) + bytes(48) + b'\x55\xaa'
    usable = last - TABLE_SECTORS - 1
    with open(disk, 'wb') as out:
        out.truncate(size * SECTOR)
        out.write(mbr + header(1, last, 2, usable, entries) + entries)
        out.seek((last - TABLE_SECTORS) * SECTOR)
        out.write(entries + header(last, 1, last - TABLE_SECTORS, usable, entries))
        for file, place in places:
            out.seek(place * SECTOR)
            with open(file, 'rb') as content:
                while block := content.read(1 << 20):
                    # Holes stay holes.
                    out.write(block) if any(block) else out.seek(len(block), os.SEEK_CUR)


main(*sys.argv[1:])

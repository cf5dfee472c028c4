"""
Writes a firmware that does one thing: an ELF file with a PVH entry (Xen's docs/misc/pvh.pandoc), which starts in 32-bit mode.

  firmware.py triple-fault|spin|no-pvh FILE

no-pvh spins, too, but says that its entry is something else.
"""
import struct
import sys

# ud2, while there is no interrupt table; jmp to itself
CODE = {'triple-fault': b'\x0f\x0b', 'spin': b'\xeb\xfe', 'no-pvh': b'\xeb\xfe'}
ENTRY = 0x100000
XEN_ELFNOTE_ENTRY = 1
XEN_ELFNOTE_PHYS32_ENTRY = 18
PT_LOAD, PT_NOTE = 1, 4


def main(kind, path):
    entry = XEN_ELFNOTE_ENTRY if kind == 'no-pvh' else XEN_ELFNOTE_PHYS32_ENTRY
    note = struct.pack('<III4sI', 4, 4, entry, b'Xen\0', ENTRY)
    code = CODE[kind]
    at = 64 + 2 * 56
    header = struct.pack('<16sHHIQQQIHHHHHH', b'\x7fELF\2\1\1', 2, 62, 1, ENTRY, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    segments = struct.pack('<IIQQQQQQ', PT_NOTE, 4, at, 0, 0, len(note), len(note), 4)
    segments += struct.pack('<IIQQQQQQ', PT_LOAD, 5, at + len(note), ENTRY, ENTRY, len(code), len(code), 1)
    with open(path, 'wb') as out:
        out.write(header + segments + note + code)


main(*sys.argv[1:])

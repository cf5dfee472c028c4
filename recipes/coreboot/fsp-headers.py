#!/usr/bin/env python3
"""Writes the C headers through which coreboot talks to Intel's FSP, from a description of its binary interface.

  fsp-headers.py INTERFACE.json FOLDER

The interface is what matters for the ROM: names, types and offsets. Every offset and size of the
description is asserted in the headers again, so a header that would let coreboot write a setting into a
neighbour's place does not compile.
"""
import json
import os
import sys

INDENT = "  "


def constants(names, values):
    return [f"#define {name} {values[name]}" for name in names]


def enum(name, members):
    return ["typedef enum {", *(f"{INDENT}{member}," for member in members), f"}} {name};"]


def struct(name, description):
    lines = ["typedef struct {"]
    end = 0
    for field, kind, dimensions, offset, size in description["fields"]:
        if offset != end:
            sys.exit(f"fsp-headers: {name}.{field} is at {offset}, the field before it ends at {end}")
        end = offset + size
        array = "".join(f"[{length}]" for length in dimensions)
        lines.append(f"{INDENT}{kind} {field}{array};")
    if end != description["size"]:
        sys.exit(f"fsp-headers: {name} has {description['size']} bytes, its fields {end}")
    lines.append(f"}} {name};")
    lines.append(f'_Static_assert(sizeof({name}) == {end}, "size of {name}");')
    for field, _, _, offset, _ in description["fields"]:
        lines.append(f'_Static_assert(__builtin_offsetof({name}, {field}) == {offset}, "{name}.{field}");')
    return lines


def header(file, parts, interface):
    guard = "VMBUILD_" + file.upper().replace(".", "_")
    lines = [f"#ifndef {guard}", f"#define {guard}"]
    lines += [f"#include <{name}>" for name in parts.get("includes", [])]
    lines += constants(parts.get("constants", []), interface["constants"])
    for name in parts.get("enums", []):
        lines += enum(name, interface["enums"][name])
    lines.append("#pragma pack(push, 1)")
    for name in parts.get("structs", []):
        lines += struct(name, interface["structs"][name])
    lines += ["#pragma pack(pop)", "#endif"]
    return "\n".join(lines) + "\n"


def main():
    source, folder = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        interface = json.load(file)
    for kind in ("constants", "enums", "structs"):
        placed = [name for parts in interface["headers"].values() for name in parts.get(kind, [])]
        if sorted(placed) != sorted(interface[kind]):
            sys.exit(f"fsp-headers: every one of {kind} has to be in one header")
    os.makedirs(folder, exist_ok=True)
    for name, parts in interface["headers"].items():
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(header(name, parts, interface))


main()

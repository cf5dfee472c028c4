#!/usr/bin/env python3
"""Every Kconfig symbol that a board names has to exist in coreboot.

  check-symbols.py TREE FILE_OR_FOLDER...

Kconfig itself takes `select NO_SUCH_SYMBOL` without a word, and CONFIG(NO_SUCH_SYMBOL) in C is 0: a board
that was written for another coreboot, or with a spelling mistake, would silently lack something.
"""
import os
import re
import sys

DEFINITION = re.compile(r"^\s*(?:menu)?config\s+([A-Za-z0-9_]+)\s*$", re.MULTILINE)
# CONFIG_NAME in makefiles and configurations, CONFIG(NAME) in C
USE = re.compile(r"\bCONFIG(?:_|\()([A-Za-z0-9_]+)")
# What of a line in a Kconfig file is an expression: all of it after one of these, or what follows a prompt's `if`
EXPRESSION = re.compile(r"^\s*(?:select|imply|depends on|if|default|def_bool|def_tristate|range|visible if)\b(.*)")
CONDITION = re.compile(r"\bif\b(.*)")
SYMBOL = re.compile(r"\b[A-Z][A-Z0-9_]*\b")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def files_below(path):
    if not os.path.isdir(path):
        return [path]
    return [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]


def is_kconfig(path):
    return os.path.basename(path).startswith("Kconfig")


def without_help(lines):
    """Help texts are prose: they end where a line is indented less than their first one."""
    margin = None
    in_help = False
    for line in lines:
        indent = len(line.expandtabs(8)) - len(line.expandtabs(8).lstrip())
        if in_help and line.strip():
            margin = indent if margin is None else margin
            in_help = indent >= margin > 0
        if line.strip() in ("help", "---help---"):
            in_help, margin = True, None
        elif not in_help:
            yield line


def named_in_kconfig(text):
    for line in without_help(text.splitlines()):
        line = re.sub(r'"[^"]*"', "", line.split("#")[0])
        match = EXPRESSION.match(line) or CONDITION.search(line)
        if match:
            yield from SYMBOL.findall(match.group(1))


def main():
    tree, *paths = sys.argv[1:]
    known = set()
    for top in ("src", "payloads", "site-local", "util"):
        for path in files_below(os.path.join(tree, top)):
            if is_kconfig(path):
                known.update(DEFINITION.findall(read(path)))
    unknown = []
    for path in sorted(file for path in paths for file in files_below(path)):
        text = read(path)
        named = named_in_kconfig(text) if is_kconfig(path) else USE.findall(text)
        unknown += [f"{path}: {name}" for name in sorted(set(named) - known)]
    if unknown:
        sys.exit("coreboot's Kconfig has no such symbol:\n  " + "\n  ".join(unknown))


main()

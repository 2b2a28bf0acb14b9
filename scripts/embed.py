#!/usr/bin/python3
"""Turns files into a C table, so that the binary carries them.

    embed.py OUTPUT.c path=file [path=file ...]

Each `path` is the URL path it is served at; the content type follows from the path's ending. Several
files of one path are joined by '+': path=file+file.
"""
import os
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
LINE = 24  # bytes of content per line of C


def content_type(path):
    return TYPES[".html" if path.endswith("/") else os.path.splitext(path)[1]]


def read(names):
    parts = []
    for name in names.split("+"):
        try:
            with open(name, "rb") as file:
                parts.append(file.read())
        except FileNotFoundError:
            sys.exit(f"embed.py: {name} is missing; `scripts/setup run` fetches what is not ours")
    return b"\n".join(parts)


def literal(data):
    """As C strings of octal escapes: compilers read those much faster than lists of numbers."""
    for at in range(0, len(data), LINE):
        yield '    "' + "".join(f"\\{byte:03o}" for byte in data[at:at + LINE]) + '"'


def main():
    output, *entries = sys.argv[1:]
    lines = ["/* Made by scripts/embed.py. */", '#include "http/files.h"', ""]
    rows = []
    for number, entry in enumerate(entries):
        path, _, names = entry.partition("=")
        data = read(names)
        lines += [f"static const char content_{number}[] =", *literal(data), "    ;"]
        rows.append(f'    {{"{path}", "{content_type(path)}", {{content_{number}, {len(data)}}}}},')
    lines += ["", "const struct http_file http_files[] = {", *rows, "};",
              f"const size_t http_files_count = {len(entries)};", ""]
    with open(output, "w", encoding="ascii") as file:
        file.write("\n".join(lines))


if __name__ == "__main__":
    main()

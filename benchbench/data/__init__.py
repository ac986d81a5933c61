"""Data sets: found, fetched, read. These names are what plugins read files with."""

from benchbench.data.read import (
    check_limit,
    chosen,
    filled,
    items,
    key,
    present,
    read_csv,
    read_json,
    read_jsonl,
    read_names,
    read_text,
    subset,
    texts,
)
from benchbench.errors import DataError

__all__ = [
    "DataError",
    "check_limit",
    "chosen",
    "filled",
    "items",
    "key",
    "present",
    "read_csv",
    "read_json",
    "read_jsonl",
    "read_names",
    "read_text",
    "subset",
    "texts",
]

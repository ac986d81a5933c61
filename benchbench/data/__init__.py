"""Data sets: found, fetched, read. These names are what plugins read files with."""

from benchbench.data.read import Filled as Filled
from benchbench.data.read import Items as Items
from benchbench.data.read import Row as Row
from benchbench.data.read import Rule as Rule
from benchbench.data.read import Texts as Texts
from benchbench.data.read import check_limit as check_limit
from benchbench.data.read import chosen as chosen
from benchbench.data.read import filled as filled
from benchbench.data.read import items as items
from benchbench.data.read import key as key
from benchbench.data.read import present as present
from benchbench.data.read import read_csv as read_csv
from benchbench.data.read import read_json as read_json
from benchbench.data.read import read_jsonl as read_jsonl
from benchbench.data.read import read_names as read_names
from benchbench.data.read import read_rows as read_rows
from benchbench.data.read import read_text as read_text
from benchbench.data.read import subset as subset
from benchbench.data.read import texts as texts
from benchbench.errors import DataError as DataError

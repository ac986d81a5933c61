"""Finds a base model: a registered name, a folder in Hugging Face layout, or a model of the hub.

Only safetensors, JSON and tokenizer files are fetched or read, and no code of a model is run.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

HUB_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[^@\s]+))?", re.ASCII)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the hub's library from telling of each of its tries; we tell what came of them."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def unreachable() -> str:
    """Return why the hub gave no answer, and what to do, up to "or"."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "is switched off by HF_HUB_OFFLINE=1: set HF_HUB_OFFLINE=0 to fetch it, or"
    return f"({os.environ.get('HF_ENDPOINT', 'huggingface.co')}) cannot be reached: try again, or"

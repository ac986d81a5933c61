"""Reads base models: decoder-only ones and encoder-decoder ones, from safetensors of a folder."""

from pathlib import Path
from typing import Any

from benchbench.engines.architecture import language_model, read_config
from benchbench.errors import ModelError


def read_model(folder: Path, dtype: Any) -> Any:
    """Return the transformers model of a folder, in a torch dtype (or "auto": as stored)."""
    config = read_config(folder, ModelError)
    model: Any = language_model(config).from_pretrained(
        folder, dtype=dtype, local_files_only=True, use_safetensors=True
    )
    if config.is_encoder_decoder:
        # transformers 5 calls every T5 tied, also those whose files hold a head of their own; then
        # it must not be tied when weights are given to it later.
        head = model.get_output_embeddings().weight
        model.config.tie_word_embeddings = head is model.get_input_embeddings().weight
    return model


def is_encoder_decoder(folder: Path) -> bool:
    """Tell whether the model of a folder has an encoder that reads prompts."""
    return bool(read_config(folder, ModelError).is_encoder_decoder)

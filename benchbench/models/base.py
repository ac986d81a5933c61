"""A base model as one object: what its folder says is read once, by whoever needs it first."""

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchbench.errors import ModelError, brief, telling
from benchbench.models.architecture import Architecture, language_model, read_config

VERY_LONG = 10**9


@dataclass(frozen=True)
class BaseModel:
    """A base model at its place on this machine; ModelError for what cannot be read there.

    Whoever needs its tokenizer or its configuration asks here and changes neither: all share them.
    """

    folder: Path

    @cached_property
    def config(self) -> Any:
        """Transformers' configuration, with defaults filled in."""
        return read_config(self.folder, ModelError)

    @cached_property
    def tokenizer(self) -> Any:
        """Transformers' tokenizer, which warns of no length: prompts are cut by us."""
        from transformers import AutoTokenizer

        what, advice = f"the tokenizer of {self.folder.name!r}", "fetch or save the model again."
        with telling(lambda error: ModelError(f"{what} cannot be read ({brief(error)}); {advice}")):
            found = AutoTokenizer.from_pretrained(
                self.folder, config=self.config, local_files_only=True
            )
        found.model_max_length = VERY_LONG
        return found

    @cached_property
    def architecture(self) -> Architecture:
        """Its layers and the weights it stores, read without loading them."""
        return Architecture.of(self.folder, self.config)

    @property
    def encoder_decoder(self) -> bool:
        """Whether an encoder reads prompts, and a decoder writes."""
        return bool(self.config.is_encoder_decoder)

    def load(self, dtype: Any) -> Any:
        """Return a transformers model of its own, in a torch dtype (or "auto": as stored)."""
        # A configuration of its own too: methods and Trainer change it.
        config = copy.deepcopy(self.config)
        model: Any = language_model(config).from_pretrained(
            self.folder, config=config, dtype=dtype, local_files_only=True, use_safetensors=True
        )
        if config.is_encoder_decoder:
            # transformers 5 calls every T5 tied, also those whose files hold a head of their own;
            # then it must not be tied when weights are given to it later.
            head = model.get_output_embeddings().weight
            model.config.tie_word_embeddings = head is model.get_input_embeddings().weight
        return model

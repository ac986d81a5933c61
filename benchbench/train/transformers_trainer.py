"""What is ours in transformers' Trainer: schedule, validation, checkpoints, and sharded weights."""

import math
from pathlib import Path
from typing import Any

from benchbench.profile import Schedule
from benchbench.train import batches, checkpoints, sharding
from benchbench.train.selection import Selector


def trainer_class(schedule: Schedule, selector: Selector | None) -> Any:
    """Return a subclass of Trainer; transformers is imported here and not before."""
    from transformers import Trainer, get_scheduler

    class NamedWeightsTrainer(Trainer):
        """Keeps what is trained by name, instead of in one format for each kind of model.

        Trainer reloads PEFT models through their adapter format, which loses parts of some
        methods (P-tuning's encoder) and fails for others (AdaLoRA, prefix projections).
        """

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            length = round(schedule.stretch * num_training_steps)
            # At least one step is not warm-up, whose first has a learning rate of 0.
            warmup = min(math.ceil(schedule.warmup * length), num_training_steps - 1)
            built: Any = optimizer or self.optimizer
            self.lr_scheduler = get_scheduler(schedule.curve, built, warmup, length)
            return self.lr_scheduler

        def compute_loss(
            self,
            model: Any,
            inputs: Any,
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            network: Any = self.model
            if not network.config.is_encoder_decoder:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            # T5 and its like take no count of a step's tokens: they return the mean over a part.
            learned = inputs["labels"].ne(batches.IGNORED).sum()
            # The gradients of several processes are averaged later.
            share = learned * self.accelerator.num_processes / num_items_in_batch
            return model(**inputs).loss * share

        def _clip_grad_norm(self, model: Any) -> Any:
            norm: Any = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
            return sharding.whole(norm)

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            assert selector is not None
            score = selector.evaluate(self.model, self.state.global_step)
            metrics = {f"eval_{selector.validation.split.metric}": score}
            self.log(metrics)
            handler = self.callback_handler
            self.control = handler.on_evaluate(self.args, self.state, self.control, metrics)
            return metrics

        def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
            folder = Path(output_dir or str(self.args.output_dir))
            checkpoints.write_state(self.model, folder / checkpoints.WEIGHTS)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            path = Path(resume_from_checkpoint) / checkpoints.WEIGHTS
            checkpoints.read_state(self.model if model is None else model, path)

        def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
            if not sharding.is_sharded(self.model):
                return super()._save_optimizer_and_scheduler(output_dir)
            wrapped: Any = self.optimizer
            sharding.write_states(
                self.model, wrapped.optimizer, self.lr_scheduler, Path(output_dir)
            )

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            if checkpoint is None or not sharding.is_sharded(self.model):
                return super()._load_optimizer_and_scheduler(checkpoint)
            wrapped: Any = self.optimizer
            sharding.read_states(self.model, wrapped.optimizer, self.lr_scheduler, Path(checkpoint))

    return NamedWeightsTrainer

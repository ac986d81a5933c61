"""What is ours in transformers' Trainer: schedule, validation, checkpoints, and sharded weights."""

from pathlib import Path
from typing import Any

from benchbench.train import batches, group, resume
from benchbench.train.schedule import Schedule
from benchbench.train.selection import Selector


def trainer_class(schedule: Schedule, selector: Selector | None) -> Any:
    """Return a subclass of Trainer; transformers is imported here and not before."""
    from transformers import Trainer

    class NamedWeightsTrainer(Trainer):
        """Keeps what is trained by name, instead of in one format for each kind of model.

        Trainer reloads PEFT models through their adapter format, which loses parts of some
        methods (P-tuning's encoder) and fails for others (AdaLoRA, prefix projections).
        """

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            self.lr_scheduler = schedule.build(optimizer or self.optimizer, num_training_steps)
            return self.lr_scheduler

        def compute_loss(self, model: Any, inputs: Any, *_: Any, **more: Any) -> Any:
            if _counts_tokens(self.model):
                return super().compute_loss(model, inputs, **more)
            outputs, labels = model(**inputs), inputs["labels"]
            share = labels.ne(batches.IGNORED).sum() / more["num_items_in_batch"]
            # The gradients of several processes are averaged later.
            return _rescaled(self.model, outputs, labels, share) * self.accelerator.num_processes

        def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
            return group.whole(super()._get_grad_norm(model, grad_norm))  # type: ignore[no-untyped-call]

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
            resume.write_state(self.model, folder / resume.WEIGHTS)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            path = Path(resume_from_checkpoint) / resume.WEIGHTS
            resume.read_state(self.model if model is None else model, path)

        def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
            if not group.is_sharded(self.model):
                return super()._save_optimizer_and_scheduler(output_dir)
            wrapped: Any = self.optimizer
            group.write_states(self.model, wrapped.optimizer, self.lr_scheduler, Path(output_dir))

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            if checkpoint is None or not group.is_sharded(self.model):
                return super()._load_optimizer_and_scheduler(checkpoint)
            wrapped: Any = self.optimizer
            group.read_states(self.model, wrapped.optimizer, self.lr_scheduler, Path(checkpoint))

    return NamedWeightsTrainer


def _counts_tokens(model: Any) -> bool:
    """Whether a model divides its loss by a step's tokens; T5 and others return a part's mean."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return not base.config.is_encoder_decoder and getattr(base, "accepts_loss_kwargs", True)


def _rescaled(model: Any, outputs: Any, labels: Any, share: Any) -> Any:
    """Return a part's loss of which only the mean over its tokens is scaled by their share of the
    step's; what a method adds to it, such as a penalty, counts once for each part."""
    import torch
    from torch.nn.functional import cross_entropy

    # A learned prompt may have logits of its own before those of the tokens.
    logits = outputs.logits[:, -labels.shape[1] :]
    if not model.config.is_encoder_decoder:
        logits, labels = logits[:, :-1], labels[:, 1:]

    def mean() -> Any:
        wanted = labels.flatten()
        return cross_entropy(logits.float().flatten(0, 1), wanted, ignore_index=batches.IGNORED)

    with torch.no_grad():
        is_plain = torch.allclose(mean(), outputs.loss.float(), rtol=1e-4)
    return outputs.loss * share if is_plain else outputs.loss + mean() * (share - 1)

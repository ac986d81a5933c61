"""What runs inside vLLM's worker, where the live model is. Only vLLM imports this module."""

from typing import TYPE_CHECKING, Any

from vllm.platforms import current_platform  # noqa: TID253 (who imports this has loaded vLLM)

from benchbench.checkpoints.learned import Prefix
from benchbench.checkpoints.modules import Added, AddedModule
from benchbench.engines.vllm.places import ADDITIONAL, Places, attentions, locate

if TYPE_CHECKING or not current_platform.is_cpu():
    from vllm.v1.worker.gpu_worker import Worker
else:
    from vllm.v1.worker.cpu_worker import CPUWorker as Worker


class BenchbenchWorker(Worker):
    """vLLM's worker and methods of ours, whose names do not clash with its own."""

    def load_model(self, **options: Any) -> None:
        """Load the model and make the places in it, before anything is compiled."""
        super().load_model(**options)
        additional: Any = self.vllm_config.additional_config
        wanted = additional[ADDITIONAL]
        self.benchbench_places = Places(
            self.model_runner.get_model(),
            [AddedModule(**module) for module in wanted["modules"]],
            wanted["prefix_tokens"],
            rows=self.vllm_config.scheduler_config.max_num_batched_tokens,
            compiled=not self.vllm_config.model_config.enforce_eager,
        )

    def benchbench_swap(self, folder: str) -> None:
        """Replace the live model's weights by those of a folder of the same architecture."""
        self.reload_weights(weights_path=folder)
        self.benchbench_repack_heads()

    def benchbench_repack_heads(self) -> None:
        """Pack the weights of the head again.

        On processors a head keeps a packed copy of its weights (oneDNN). A tied head is not among
        the reloaded weights, so that its copy would stay the old model's (vLLM 0.32).
        """
        from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead

        if not current_platform.is_cpu():
            return
        for layer in self.model_runner.get_model().modules():
            if isinstance(layer, ParallelLMHead):
                layer.quant_method.process_weights_after_loading(layer)

    def benchbench_clear_cache(self) -> None:
        """Overwrite the key-value cache: a NaN left in a freed block spoils who gets it next."""
        for layer in self.model_runner.kv_caches:
            for tensor in layer if isinstance(layer, list | tuple) else [layer]:
                tensor.zero_()

    def benchbench_unplaced(self, layers: list[str]) -> list[str]:
        """Return those layers of the base model that the live model has no place for."""
        model = self.model_runner.get_model()
        return [layer for layer in layers if locate(model, layer) is None]

    def benchbench_attentions(self) -> int:
        """Return in how many layers keys and values can be given."""
        return len(attentions(self.model_runner.get_model()))

    def benchbench_put_on(self, content: Added | Prefix) -> None:
        """Put added modules or a prefix into their places in the live model."""
        self.benchbench_places.fill(content)

    def benchbench_take_off(self) -> None:
        """Empty all places."""
        self.benchbench_places.empty()

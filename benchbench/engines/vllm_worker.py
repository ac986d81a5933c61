"""What runs inside vLLM's worker, where the live model is. vLLM mixes this class into its own."""

from typing import Any


class WorkerExtension:
    """Methods of ours beside those of vLLM's worker; their names must not clash with its own."""

    def benchbench_swap(self: Any, folder: str) -> None:
        """Replace the live model's weights by those of a folder of the same architecture."""
        self.reload_weights(weights_path=folder)
        self.benchbench_repack_heads()

    def benchbench_repack_heads(self: Any) -> None:
        """Pack the weights of the head again.

        On processors a head keeps a packed copy of its weights (oneDNN). A tied head is not among
        the reloaded weights, so that its copy would stay the old model's (vLLM 0.32).
        """
        from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead
        from vllm.platforms import current_platform

        if not current_platform.is_cpu():
            return
        for layer in self.model_runner.get_model().modules():
            if isinstance(layer, ParallelLMHead):
                layer.quant_method.process_weights_after_loading(layer)

    def benchbench_clear_cache(self: Any) -> None:
        """Overwrite the key-value cache: a NaN left in a freed block spoils who gets it next."""
        for layer in self.model_runner.kv_caches:
            for tensor in layer if isinstance(layer, list | tuple) else [layer]:
                tensor.zero_()

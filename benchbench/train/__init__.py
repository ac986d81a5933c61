"""Trains one method on one base model, in a process of its own, and leaves a servable artefact.

``launcher`` is the parent's side: it starts the process, relays its progress and reads how it
ended. ``process`` is the child's: the order of the steps. ``examples`` holds tokenised samples and
decides which of them each step sees; ``trainer`` is the step loop, its checkpoints and resuming;
``recorder`` writes every step down.
"""

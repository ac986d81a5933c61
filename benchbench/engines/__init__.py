"""Engines serve checkpoints of one base model.

An engine is opened for a model and the checkpoints it will serve, checks each before the first
request is sent, and answers requests that each name their checkpoint, so that one call mixes
whatever can be mixed.
"""

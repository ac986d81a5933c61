"""Checks of a method's class, before anything is trained."""

from dataclasses import fields

from benchbench.errors import BadParameter
from benchbench.registry.docstrings import field_docs
from benchbench.specs import MethodSpec, canonical
from benchbench.testing.trial import Trial
from benchbench.testing.verdict import Failed, NotTried


def instantiates(trial: Trial) -> str:
    """Return the parameters of a method built with its defaults and those asked for."""
    cls = trial.registry.methods[trial.asked.name]
    if "__dataclass_params__" not in cls.__dict__:
        raise Failed(
            f"{cls.__name__} is no dataclass of its own, so its fields are not hyperparameters; "
            "write @dataclass(frozen=True, kw_only=True) above the class"
        )
    try:
        trial.registry.method(MethodSpec(name=trial.asked.name))
        again = trial.registry.resolve_method(trial.spec, 1.0)
    except BadParameter as error:
        why = str(error).rstrip(".")
        raise Failed(
            f"it cannot be built from its defaults ({why}); give every field a default that its "
            "type and __post_init__() allow"
        ) from error
    try:
        text = canonical(again.params)
    except (TypeError, ValueError) as error:
        raise Failed(
            f"its parameters cannot be written down as JSON ({error}); a field is a number, a "
            "text, a truth value or None"
        ) from error
    if text != canonical(trial.spec.params):
        raise Failed(
            f"built again from its own parameters it has others: {text}, not "
            f"{canonical(trial.spec.params)}; __post_init__() must not change fields"
        )
    return ", ".join(f"{key}={value}" for key, value in again.params.items())


def documented(trial: Trial) -> str:
    """Return what is documented: the class, and each field by a docstring below it."""
    cls = trial.registry.methods[trial.asked.name]
    try:
        known = field_docs(cls)
    except (OSError, TypeError, SyntaxError) as error:  # made at run time, without a file
        raise NotTried(f"the source of {cls.__name__} cannot be read ({error})") from error
    # A dataclass without one is given its signature.
    if (vars(cls).get("__doc__") or f"{cls.__name__}(").startswith(f"{cls.__name__}("):
        raise Failed(
            f"{cls.__name__} has no docstring; its first sentence is shown by `benchbench list "
            "methods`, so say below the class line what the method does"
        )
    names = [field.name for field in fields(cls)]
    if missing := [name for name in names if name not in known]:
        raise Failed(
            f"{', '.join(missing)}: no docstring; write what each hyperparameter means, and its "
            'range, as a """text""" on the line below the field'
        )
    advice = "" if cls.source else "; advice: set source to the address of the paper or code"
    return f"the class and {len(names)} hyperparameters{advice}"

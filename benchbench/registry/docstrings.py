"""What a class says of its fields: the text below each."""

import ast
import inspect
import textwrap


def field_docs(cls: type) -> dict[str, str]:
    """Return field -> the docstring on the lines below it, those of base classes included.

    Raises OSError, TypeError or SyntaxError where a class has no source to read.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not inspect.get_annotations(base):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for node, below in zip(tree.body, tree.body[1:], strict=False):
            if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
                continue
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                found[node.target.id] = inspect.cleandoc(str(below.value.value))
    return found

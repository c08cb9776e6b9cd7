"""A small language to choose rows of a table: `quality == "good" and seconds > 2`.

Comparisons, `and`, `or`, `not` and `in` over column names, numbers and quoted text, with Python's precedence.
It is parsed with `ast` and walked here, never evaluated as Python: there are no calls, attributes or
operators on numbers.
"""

from __future__ import annotations

import ast
import io
import keyword
import operator
import tokenize
from collections.abc import Callable, Iterable, Mapping

from audiocx.errors import ConfigError, describe, nearest

Row = Mapping[str, str]
Condition = Callable[[Row], bool]
Value = str | float
Operand = Callable[[Row], Value]

_FALSE = frozenset({"", "0", "0.0", "false", "no"})
_WORDS = frozenset({"and", "or", "not", "in"})
_COMPARISONS: dict[type[ast.cmpop], Callable[[Value, Value], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EXPECTED = 'comparisons, and, or, not, in: for example quality == "good" and seconds > 2'


def columns_of(text: str, option: str = "data.where") -> set[str]:
    """Names of the columns that an expression speaks of.

    Raises:
        ConfigError: it is no expression of this language.
    """
    tree = _parse(text, option)
    return {_column(node.id) for node in ast.walk(tree) if isinstance(node, ast.Name)}


def row_filter(text: str, columns: Iterable[str], option: str = "data.where") -> Condition:
    """Make a function that tells whether a row is wanted.

    Beside a number, a column is read as a number: what is none differs from every number and is neither
    smaller nor larger. A column alone holds unless it is empty, `0`, `false` or `no`. `"ann" in speaker`
    looks for a part of the text, `class in ("rain", "wind")` for one of several.

    Args:
        text: the expression.
        columns: of the table.
        option: what the user set, for messages.

    Raises:
        ConfigError: it is no expression of this language, or names a column that is not there.
    """
    tree = _parse(text, option)
    known = list(columns)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            name = _column(node.id)
            found = column_named(name, known)
            if found is None:
                raise ConfigError(describe(f"{option}: no column `{name}`", do=nearest(name, known)))
            node.id = found
    return _condition(tree, option)


def column_named(name: str, columns: Iterable[str]) -> str | None:
    """The column that an expression means: of that name, else of that name in small letters, as tables fold it."""
    known = set(columns)
    return next((each for each in (name, name.lower()) if each in known), None)


def _parse(text: str, option: str) -> ast.expr:
    try:
        tree = ast.parse(_without_keywords(text.strip()), mode="eval").body
        _condition(tree, option)
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            describe(f"{option}: `{text}` is no expression", expected=_EXPECTED, got=_reason(error))
        ) from error
    return tree


def _reason(error: BaseException) -> str:
    return str(getattr(error, "msg", None) or error or type(error).__name__).splitlines()[0]


def _without_keywords(text: str) -> str:
    """Give columns that are Python's keywords, as `class` is, a name that parses: `class_`."""
    tokens = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_column = token.type == tokenize.NAME and keyword.iskeyword(token.string)
        name = token.string + "_" if is_column and token.string not in _WORDS else token.string
        tokens.append((token.type, name))
    return str(tokenize.untokenize(tokens)).strip()


def _column(name: str) -> str:
    return name[:-1] if name.endswith("_") and keyword.iskeyword(name[:-1]) else name


def _refuse(node: ast.AST, option: str) -> ConfigError:
    return ConfigError(describe(f"{option}: `{ast.unparse(node)}` is not allowed there", expected=_EXPECTED))


def _condition(node: ast.expr, option: str) -> Condition:
    """Compile what is true or false."""
    if isinstance(node, ast.BoolOp):
        parts = [_condition(value, option) for value in node.values]
        together = all if isinstance(node.op, ast.And) else any
        return lambda row: together(part(row) for part in parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _condition(node.operand, option)
        return lambda row: not inner(row)
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        links = [
            _comparison(left, operation, right, option)
            for left, operation, right in zip(sides[:-1], node.ops, sides[1:], strict=True)
        ]
        return lambda row: all(link(row) for link in links)
    if isinstance(node, ast.Name):
        name = _column(node.id)
        return lambda row: row.get(name, "").strip().lower() not in _FALSE
    raise _refuse(node, option)


def _comparison(left: ast.expr, operation: ast.cmpop, right: ast.expr, option: str) -> Condition:
    if isinstance(operation, ast.In | ast.NotIn):
        wanted = isinstance(operation, ast.In)
        inside = _membership(left, right, option)
        return lambda row: inside(row) == wanted
    compare = _COMPARISONS.get(type(operation))
    if compare is None:
        raise _refuse(ast.Compare(left, [operation], [right]), option)
    one, other = _operand(left, option), _operand(right, option)
    return lambda row: compare(*_alike(one(row), other(row)))


def _membership(left: ast.expr, right: ast.expr, option: str) -> Condition:
    one = _operand(left, option)
    if isinstance(right, ast.Tuple | ast.List):
        choices = [_operand(element, option) for element in right.elts]
        return lambda row: any(operator.eq(*_alike(one(row), choice(row))) for choice in choices)
    if isinstance(right, ast.Name):
        text = _operand(right, option)
        return lambda row: str(one(row)) in str(text(row))
    raise _refuse(right, option)


def _operand(node: ast.expr, option: str) -> Operand:
    """Compile a column, a number or a text."""
    if isinstance(node, ast.Name):
        name = _column(node.id)
        return lambda row: row.get(name, "")
    sign = 1.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign = -1.0 if isinstance(node.op, ast.USub) else 1.0
        node = node.operand
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            raise _refuse(node, option)
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, str):
            return lambda row: value
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = sign * float(value)
            return lambda row: number
    raise _refuse(node, option)


def _alike(one: Value, other: Value) -> tuple[Value, Value]:
    """Read a text beside a number as a number."""
    if isinstance(one, float) and isinstance(other, str):
        return one, _number(other)
    if isinstance(one, str) and isinstance(other, float):
        return _number(one), other
    return one, other


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")

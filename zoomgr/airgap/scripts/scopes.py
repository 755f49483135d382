"""What names of a script mean where they stand: imports, and constants that are assigned once."""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass, field
from typing import Final

_MOST_STEPS = 20  # of names that stand for names, some of which go round in a circle


@dataclass(frozen=True, slots=True)
class Imported:
    """A name that stands for something of a module: its dotted path."""

    path: str


class _Computed:
    """What stands for a binding that cannot be followed: a parameter, a loop, a second thought."""


COMPUTED: Final = _Computed()


@dataclass(eq=False, slots=True)
class Scope:
    """Names that are bound together: of a module, a class or a function.

    Attributes:
        outer: the scope around it; None of a module.
        is_class: its names are not seen by the functions in it.
        bindings: everything that a name is ever bound to here.
        stars: modules of which the script imports all, whatever their names are; of the module's scope.
        globals: names that a `global` gives to the module.
    """

    outer: Scope | None = None
    is_class: bool = False
    bindings: dict[str, list[Imported | ast.expr | _Computed]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    globals: set[str] = field(default_factory=set)

    def bind(self, name: str, to: Imported | ast.expr | _Computed) -> None:
        """Note what a name is bound to."""
        scope = self.module if name in self.globals else self
        scope.bindings.setdefault(name, []).append(to)

    def home_of(self, name: str) -> Scope | None:
        """The scope whose binding a name means here; None when nothing binds it."""
        scope: Scope | None = self
        while scope and (name not in scope.bindings or (scope.is_class and scope is not self)):
            scope = scope.outer
        return scope

    @property
    def module(self) -> Scope:
        """The outermost one."""
        return self.outer.module if self.outer else self


def paths_of(expression: ast.expr, scope: Scope, steps: int = _MOST_STEPS) -> tuple[str, ...]:
    """Dotted paths that an expression may mean; several where imports are tried one after the other.

    A call's result has the path of what is called, with `()` behind it.
    """
    match expression:
        case ast.Name(id=name) if steps:
            home = scope.home_of(name)
            if home is None:
                stars = () if hasattr(builtins, name) else scope.module.stars
                return tuple(f"{star}.{name}" for star in stars)
            bound = home.bindings[name]
            if len(bound) == 1 and isinstance(bound[0], ast.expr):
                return paths_of(bound[0], home, steps - 1)
            return tuple(item.path for item in bound if isinstance(item, Imported))
        case ast.Attribute(value=value, attr=attribute):
            return tuple(f"{path}.{attribute}" for path in paths_of(value, scope, steps))
        case ast.Call(func=called):
            return tuple(f"{path}()" for path in paths_of(called, scope, steps))
        case _:
            return ()


def constant_of(expression: ast.expr, scope: Scope, steps: int = _MOST_STEPS) -> ast.Constant | None:
    """The constant that an expression is, or that a name which is bound once stands for; else None."""
    match expression:
        case ast.Constant():
            return expression
        case ast.Name(id=name) if steps and (home := scope.home_of(name)):
            bound = home.bindings[name]
            if len(bound) == 1 and isinstance(bound[0], ast.expr):
                return constant_of(bound[0], home, steps - 1)
    return None


def calls_in(tree: ast.Module) -> list[tuple[ast.Call, Scope]]:
    """All calls of a script, each with the scope that it stands in; to be asked when all is bound."""
    reader = _Reader()
    reader.visit(tree)
    return reader.calls


class _Reader(ast.NodeVisitor):
    def __init__(self) -> None:
        self.scope = Scope()
        self.calls: list[tuple[ast.Call, Scope]] = []

    def visit_Call(self, node: ast.Call) -> None:
        self.calls.append((node, self.scope))
        self.generic_visit(node)

    # -- what binds names ------------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        for item in node.names:
            first = item.name.partition(".")[0]
            self.scope.bind(item.asname or first, Imported(item.name if item.asname else first))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for item in node.names:
            if node.level:  # of the script's own package
                self.scope.bind(item.asname or item.name, COMPUTED)
            elif item.name == "*":
                self.scope.module.stars.append(str(node.module))
            else:
                self.scope.bind(item.asname or item.name, Imported(f"{node.module}.{item.name}"))

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._assign(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)
            self._assign(node.target, node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._assign(node.target, node.value)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.scope.bind(target.id, value)
        else:
            self.visit(target)

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.scope.bind(node.id, COMPUTED)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._bind_text(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._bind_text(node.name)
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self._bind_text(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self._bind_text(node.rest)
        self.generic_visit(node)

    def _bind_text(self, name: str | None) -> None:
        if name:
            self.scope.bind(name, COMPUTED)

    # -- what has names of its own ---------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.scope.bind(node.name, COMPUTED)
        for outside in (*node.decorator_list, node.args):
            self.visit(outside)  # defaults are values of the scope around
        self._inside(node.body, node.args)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 [ast's name]

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.args)
        self._inside([node.body], node.args)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.bind(node.name, COMPUTED)
        for outside in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(outside)
        self._inside(node.body)

    def _inside(self, body: list[ast.stmt] | list[ast.expr], arguments: ast.arguments | None = None) -> None:
        self.scope = Scope(self.scope, is_class=arguments is None)
        for argument in ast.walk(arguments) if arguments else ():
            if isinstance(argument, ast.arg):
                self.scope.bind(argument.arg, COMPUTED)
        for part in body:
            self.visit(part)
        self.scope = self.scope.outer or self.scope

    def visit_Global(self, node: ast.Global) -> None:
        self.scope.globals |= {*node.names}

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        scope: Scope | None = self.scope
        while scope and scope.outer:  # whichever of them has the name: it changes under its feet
            for name in node.names:
                scope.bind(name, COMPUTED)
            scope = scope.outer

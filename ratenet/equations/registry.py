"""Registry: one door for things that have names, and for the user's own.

A door takes an object; a string, ``name(setting=value)`` in the grammar of `terms`; a table,
``{name = "...", setting = value}``; the user's own, ``FILE.py:NAME`` or ``package.module:NAME``,
where settings in brackets call a class or function; and what an installed package offers by an
entry point.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from ratenet.equations.own_code import Source, load_own, reason, reference_to, sources_of
from ratenet.equations.recording import (
    Recorded,
    absolute,
    is_nameless,
    nameless,
    settings_of,
    written_call,
    written_partial,
)
from ratenet.equations.terms import Term, parse_sum, read_value
from ratenet.errors import InputError, RatenetError, UnknownNameError, shorten, show_any

T = TypeVar("T")
Weighted = tuple[tuple[float, Any], ...]


@dataclass(frozen=True, eq=False)
class Registry(Mapping[str, Any], Generic[T]):
    """What a door takes.

    Parameters
    ----------
    noun : str
        What it is in a sentence, such as "rule"; the option's name too.
    kind : type
        Type of the objects.
    built_in : mapping of str to callable
        A class or function for each name; its parameters are the settings.
    group : str
        Entry points of packages, such as "ratenet.rules".
    expected : str
        What an error asks for where something else was given.
    needs : int
        How many parameters of each callable, the first ones, are not settings: the door fills
        them in.
    title : str
        What a thing is called where its name is unknown, if not by the noun.
    remedy : str
        What an error about an unknown name says at its end.
    combine : callable, optional
        From pairs of weight and object to the object that is their sum; without it no sums are
        taken.
    parts : callable, optional
        Back from a sum to its pairs; None for anything else.
    convert : callable, optional
        What is done to what a name of the user's or of a package gives, such as making a table
        into a model.

    Examples
    --------
    >>> from ratenet.plasticity.named import RULES
    >>> RULES.read({"name": "truncated-adjoint", "terms": 5})
    TruncatedAdjoint(terms=5)
    >>> RULES.written(RULES.read("0.5*hebb + 2*truncated-adjoint(terms = 5)"))
    '0.5*hebb+2.0*truncated-adjoint(terms=5)'
    """

    noun: str
    kind: type[T] | Any
    built_in: Mapping[str, Callable[..., Any]]
    group: str
    expected: str
    needs: int = 0
    title: str = ""
    remedy: str = ""
    combine: Callable[[Weighted], T] | None = None
    parts: Callable[[T], Weighted | None] = lambda found: None
    convert: Callable[[Any], Any] = lambda found: found

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """Return what makes a built-in thing."""
        return self.built_in[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the built-in names."""
        return iter(self.built_in)

    def __len__(self) -> int:
        """Return the number of built-in names."""
        return len(self.built_in)

    @property
    def names(self) -> list[str]:
        """All names, those of packages at the end."""
        return [*self.built_in, *(n for n in offered(self.group) if n not in self.built_in)]

    def read(self, given: Any, *needs: Any) -> T:
        """Return the object that is meant.

        Parameters
        ----------
        given : object, str or mapping
        *needs
            What the callables take before their settings.

        Raises
        ------
        UnknownNameError
            If there is no such name, or it has no such setting.
        InputError
            If it cannot be read or made, is of another kind, or names the user's code in a
            recorded configuration.
        """
        found: T = self.maker(given)(*needs)
        return found

    def maker(self, given: Any) -> Callable[..., T]:
        """Return what makes the object of what the door fills in; everything else is checked."""
        if self.is_untrusted(given):
            raise self._untrusted(given)
        if isinstance(given, str):
            return self._of_sum(parse_sum(given, self.noun))
        if isinstance(given, Mapping):
            return self._of_term(self._table_term(given))
        if not isinstance(given, type) and isinstance(given, self.kind):
            return lambda *needs: given
        if (isinstance(given, type) and self._is_kind(given)) or (self.needs and callable(given)):
            name = str(getattr(given, "__name__", shorten(show_any(given))))
            return partial(self._make, name, self._checked(name, self.convert(given), {}), {})
        raise InputError.at(self.noun, got=given, expected=self.expected)

    def check(self, given: Any) -> None:
        """Check all that can be checked without importing recorded code.

        Raises
        ------
        InputError, UnknownNameError
            As `read`.
        """
        if not self.is_untrusted(given):
            maker = self.maker(given)
            if not self.needs:
                maker()

    def names_own(self, given: Any) -> bool:
        """Return whether something names the user's code, which reading it would import."""
        if isinstance(given, Mapping):
            given = given.get("name")
        if not isinstance(given, str):
            return False
        if is_nameless(given):
            return True
        try:
            return any(term.is_own for term in parse_sum(given, self.noun))
        except InputError:  # such as the path of a file, which is data
            return False

    def is_untrusted(self, given: Any) -> bool:
        """Return whether something is recorded and names the user's code, so is not imported."""
        name = given.get("name") if isinstance(given, Mapping) else given
        if not isinstance(name, str):
            return False
        return is_nameless(name) or (isinstance(name, Recorded) and self.names_own(name))

    def normal(self, given: Any) -> Any:
        """Return the string of what has a name of ours or of a package's; else the object.

        What is recorded and names the user's code stays as it is.
        """
        if self.is_untrusted(given):
            return given
        if isinstance(given, str) and not self.names_own(given):
            self.check(given)
            (term, *others) = parse_sum(given, self.noun)
            return str(given) if others or term.settings or term.weight is not None else term.name
        if self.needs and not isinstance(given, self.kind):
            self.check(given)
            if isinstance(given, Mapping):
                given = str(self._table_term(given))
            return absolute(given) if isinstance(given, str) else given
        found = self.read(given)
        text = self.written(found)
        is_named = not text.startswith("<") and not self.names_own(text)
        return text if is_named else found

    def written(self, given: Any) -> str:
        """Return how something is written down, so that reading it gives the same.

        What nothing can be read from, such as a rule made inside a function, is in angle brackets.
        """
        if isinstance(given, str):
            return given
        pairs = self.parts(given)
        if pairs:
            return "+".join(f"{float(weight)!r}*{self.written(one)}" for weight, one in pairs)
        for name, maker in self.built_in.items():
            if given is maker:
                return name
            if type(given) is maker:
                return written_call(name, given)
        if isinstance(given, partial):
            return written_partial(given)
        reference = reference_to(given)
        if reference is None:
            return nameless(given)
        name, is_class = reference
        return written_call(name, given) if is_class else str(Term(None, name))

    def sources(self, given: Any) -> list[Source]:
        """Return the files of code besides ratenet's that something needs."""
        if given is None or self.is_untrusted(given):
            return []
        if isinstance(given, Mapping):
            return self.sources(given.get("name"))
        if not isinstance(given, str):
            return sources_of(given)
        own = [term.name for term in parse_sum(given, self.noun) if term.is_own]
        return sources_of([load_own(name, self.noun) for name in own])

    def is_name(self, text: str) -> bool:
        """Return whether a string is a name by itself, without settings."""
        terms = parse_sum(text, self.noun)
        return len(terms) == 1 and terms[0].weight is None and not terms[0].settings

    def is_unknown(self, text: str) -> bool:
        """Return whether a string is a plain word and unknown here."""
        return not re.search("[(:]", text) and text not in self.names

    def maker_of(self, name: str) -> Any:
        """Return the class or function that a name stands for."""
        return self._callable(name)

    def settings(self, name: str) -> dict[str, Any]:
        """Return the settings of a name and their defaults; `inspect.Parameter.empty` for none."""
        parameters = settings_of(self._callable(name), self.needs)
        return {each.name: each.default for each in parameters}

    def about(self, name: str) -> str:
        """Return the first line of what is said of a name."""
        found = self._callable(name)
        documented = getattr(found, "function", found)  # of a decorator's object
        return (inspect.getdoc(documented) or "").partition("\n")[0]

    def _is_kind(self, found: Any) -> bool:
        return isinstance(self.kind, type) and issubclass(found, self.kind)

    def _untrusted(self, given: Any) -> InputError:
        given = given["name"] if isinstance(given, Mapping) else given
        if is_nameless(given):
            said, remedy = "an object without a name", ""
        else:
            said = "code that is not part of ratenet and is not imported by itself"
            remedy = f" (--{self.noun} FILE.py:NAME), or allow the import with trust=True (--trust)"
        return InputError(
            f"{self.noun}: recorded is {shorten(given)!r}, {said}; give the {self.noun} again"
            f"{remedy}.",
            argument=self.noun,
            got=given,
        )

    def _of_sum(self, terms: list[Term]) -> Callable[..., T]:
        makers = [(term.weight, self._of_term(term)) for term in terms]
        if len(makers) == 1 and makers[0][0] is None:
            return makers[0][1]
        combine = self.combine
        if combine is None:
            raise InputError(
                f"{self.noun}: expected one {self.title or self.noun}, got a sum or a factor.",
                argument=self.noun,
            )
        return lambda *needs: combine(
            tuple((1.0 if weight is None else weight, make(*needs)) for weight, make in makers)
        )

    def _table_term(self, table: Mapping[str, Any]) -> Term:
        name = table.get("name")
        if not isinstance(name, str):
            raise InputError.at(f"{self.noun}, name", got=name, expected="a name")
        terms = parse_sum(name, self.noun)
        if len(terms) > 1 or terms[0].weight is not None or terms[0].settings:
            raise InputError.at(f"{self.noun}, name", got=name, expected="a name by itself")
        settings = {str(key): value for key, value in table.items() if key != "name"}
        for key, value in settings.items():
            if isinstance(value, str):
                with suppress(InputError):  # a string such as a path stays as it is
                    settings[key] = read_value(value, f"{self.noun}, {key}")
        return Term(None, terms[0].name, settings)

    def _of_term(self, term: Term) -> Callable[..., T]:
        found = self._callable(term.name)
        is_object = not isinstance(found, type) and isinstance(found, self.kind)
        if is_object and not term.settings:
            return lambda *needs: found
        if is_object and not inspect.isfunction(found):
            raise InputError(
                f"{self.noun} {term.name}: expected no settings for an object, got "
                f"{', '.join(term.settings)}; leave them out.",
                argument=self.noun,
            )
        if not callable(found):
            raise InputError.at(f"{self.noun} {term.name}", got=found, expected=self.expected)
        made = self._checked(term.name, found, term.settings)
        return partial(self._make, term.name, made, term.settings)

    def _callable(self, name: str) -> Any:
        """Return what a name stands for: something to call, or an object of the kind."""
        if name in self.built_in:
            return self.convert(self.built_in[name])
        if ":" in name:
            return self.convert(load_own(name, self.noun))
        point = offered(self.group).get(name)
        if point is None:
            raise UnknownNameError.among(self.title or self.noun, name, self.names, self.remedy)
        return self.convert(_loaded(point, self.noun))

    def _checked(self, name: str, found: Any, settings: Mapping[str, Any]) -> Callable[..., Any]:
        """Return something to call, whose settings have been compared with its parameters."""
        parameters = settings_of(found, self.needs)
        names = [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]
        if len(names) == len(parameters):
            for setting in settings:
                if setting not in names:
                    kind = f"setting of {self.noun} {name!r}:"
                    raise UnknownNameError.among(kind, setting, names)
        for each in parameters:
            is_required = each.default is each.empty and each.kind is not each.VAR_KEYWORD
            if is_required and each.name not in settings:
                missing = f"the setting {each.name!r} is missing: write {name}({each.name}=...)"
                if inspect.isfunction(found) and name not in self.built_in:
                    expected = f"{self.expected}; got a function, and {missing} to call it"
                    raise InputError(
                        f"{self.noun} {name}: expected {expected}.", argument=self.noun
                    )
                raise InputError(f"{self.noun} {name}: {missing}.", argument=each.name)
        return found

    def _make(
        self, name: str, maker: Callable[..., Any], settings: Mapping[str, Any], *needs: Any
    ) -> T:
        try:
            made = self.convert(maker(*needs, **settings))
        except RatenetError:
            raise
        except Exception as error:
            if name in self.built_in:
                raise
            raise InputError(
                f"{self.noun} {name}: it cannot be made ({reason(error)}).", argument=self.noun
            ) from error
        if isinstance(made, type) or not isinstance(made, self.kind):
            raise InputError.at(f"{self.noun} {name}", got=made, expected=self.expected)
        found: T = made
        return found


@cache
def offered(group: str) -> dict[str, EntryPoint]:
    """Return what installed packages offer in a group, by name; nothing is imported."""
    return {point.name: point for point in reversed([*entry_points(group=group)])}


def _loaded(point: EntryPoint, noun: str) -> Any:
    """Return what an entry point stands for.

    Raises
    ------
    InputError
        If the package cannot be imported, or has no such name.
    """
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        package = "a package" if point.dist is None else f"package {point.dist.name!r}"
        raise InputError(
            f"{noun} {point.name}: {package} offers it and cannot be imported "
            f"({shorten(reason(error))}); repair or uninstall that package.",
            argument=noun,
            got=point.name,
        ) from None

"""What the sample path says, in English or Chinese.

The English stands where it is said; the Chinese of every such text is in exchange/locales, in the
catalogue `command`. What goes wrong is said in English only.
"""

from collections.abc import Callable

from exchange.cli.output import out, plain


class Words:
    """Puts texts into one language; `%(name)s` in a text are what is told, and never markup."""

    def __init__(self, lang: str = "en") -> None:
        """Read the catalogue, where one is needed."""
        self.lang = lang
        self._text: Callable[[str], str] = str
        if lang != "en":
            from exchange.locales import gettext  # needs what serving needs

            self._text = gettext("command", lang)

    def __call__(self, text: str, /, **told: object) -> str:
        """Return a text, with rich's markup, in the language."""
        return self._text(text) % {name: plain(value) for name, value in told.items()}

    def line(self, text: str, /, *, style: str | None = None, **told: object) -> None:
        """Print a text as an indented line."""
        out.print(f"  {self(text, **told)}", style=style)


class Steps:
    """Numbers the steps as they are played."""

    def __init__(self, say: Words) -> None:
        self.say = say
        self._count = 0

    def __call__(self, who: str, what: str, /, **told: object) -> None:
        """Announce the next step."""
        self._count += 1
        heading = self.say(
            "[bold]%(count)s. %(who)s[/] %(what)s",
            count=self._count,
            who=self.say(who),
            what=self.say(what, **told),
        )
        out.print(f"\n{heading}")


ENGLISH = Words()

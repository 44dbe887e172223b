"""The installed `exchange` command: says what to install where its extra is missing."""

import sys

_EXTRA = ("typer", "rich")


def main() -> None:
    """Run the command; without the extra `cli` say so, and end with 2."""
    try:
        from exchange.cli.main import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        print(
            f"The command needs {error.name}: pip install 'data-sharing-exchange[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    app()


if __name__ == "__main__":
    main()

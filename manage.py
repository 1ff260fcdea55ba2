#!/usr/bin/env python
"""Run pkgindex's commands: `python manage.py help` lists them, `python manage.py up` starts everything."""

import os
import sys

MINIMUM = (3, 11)


def main() -> None:
    """Check the interpreter first, so that an old one gets a sentence rather than a syntax error."""
    if sys.version_info < MINIMUM:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit("pkgindex needs Python 3.11 or newer; this is Python " + found + " (" + sys.executable + ").")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pkgindex.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed for " + sys.executable + ". Run `make up`, or activate .venv first.")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))  # written for whoever set the environment: a traceback would hide it


if __name__ == "__main__":
    main()

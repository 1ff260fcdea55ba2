"""One command that starts everything: `manage.py up` and its parts."""

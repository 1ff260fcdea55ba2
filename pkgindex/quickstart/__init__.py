"""Everything one command starts on one machine: `manage.py up`."""

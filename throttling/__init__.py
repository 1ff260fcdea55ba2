"""Traffic limits for Django: exact, shared by every host, editable live."""

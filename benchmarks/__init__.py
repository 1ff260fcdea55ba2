"""Measurements and large checks; each module runs by itself and says how."""

"""Reads what `/metrics` answers, by Prometheus' own parser."""

from prometheus_client.parser import text_string_to_metric_families


def read(text: str) -> dict[str, float]:
    """Every sample by its name and labels, such as `name{a="b"}`."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found

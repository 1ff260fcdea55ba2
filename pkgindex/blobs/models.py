"""Content by its sha256; what the bytes mean is the catalogue's business."""

from django.db import models


class Blob(models.Model):
    """Bytes that are, or are about to be, in `STORAGES["blobs"]` under `aa/bb/<rest of sha256>`; never rewritten.

    `claimed_at` is renewed by every publisher of these bytes; garbage collection spares what was claimed, or written,
    within its grace time, so that it cannot take bytes from under an upload.
    """

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.BigIntegerField(help_text="Bytes.")
    claimed_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.sha256

"""Tell people about a ban, once: log, mail, webhook and signal. Never in the way of the request."""

import json
import logging
import threading
import urllib.request
from typing import Any

from django.core.mail import send_mail

from throttling import conf, signals

log = logging.getLogger("throttling.bans")
WEBHOOK_SECONDS = 5
MOST_AT_ONCE = 4  # senders per process: an attack must not become a thread per ban

_slots = threading.BoundedSemaphore(MOST_AT_ONCE)


def announce(subject: str, reason: str, seconds: float) -> threading.Thread | None:
    """Log and signal at once; mail and webhooks go out from a thread, which is returned for those who wait."""
    log.warning("banned %s for %.0f s: %s", subject, seconds, reason)
    for _, answer in signals.banned.send_robust(sender=None, subject=subject, reason=reason, seconds=seconds):
        if isinstance(answer, Exception):
            log.error("a receiver of `banned` failed: %s", answer)
    options = conf.get()
    if not options.mail_to and not options.webhooks:
        return None
    if not _slots.acquire(blocking=False):
        log.error("too many notices at once; that of %s is only in the log and in the list of bans", subject)
        return None
    sender = threading.Thread(target=_send, args=(options, subject, reason, seconds), name="throttling-notice")
    sender.daemon = True
    sender.start()
    return sender


def _send(options: conf.Conf, subject: str, reason: str, seconds: float) -> None:
    try:
        if options.mail_to:
            _mail(options, subject, reason, seconds)
        for url in options.webhooks:
            _post(url, {"event": "ban", "subject": subject, "reason": reason, "seconds": seconds})
    finally:
        _slots.release()


def _mail(options: conf.Conf, subject: str, reason: str, seconds: float) -> None:
    text = f"{subject} is banned for {seconds:.0f} s: {reason}\n\nLift it in the admin, under Bans."
    try:
        send_mail(f"Banned: {subject}", text, options.mail_from or None, list(options.mail_to))
    except Exception:
        log.exception("the mail about the ban of %s was not sent", subject)


def _post(url: str, body: dict[str, Any]) -> None:
    if not url.startswith(("http://", "https://")):
        log.error("%s is no URL for a webhook", url)
        return
    request = urllib.request.Request(  # noqa: S310 - the scheme was looked at above
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS) as answer:  # noqa: S310 - see above
            answer.read(1_024)
    except (OSError, ValueError) as error:
        log.error("the webhook %s did not take the ban: %s", url, error)  # noqa: TRY400 - the reason is enough

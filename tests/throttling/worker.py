"""A worker process of a small project: takes for one caller every 20 ms and prints `allowed` or `refused`."""

import os
import sys
import time

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.standalone.throttling_settings"

import django

django.setup()

from throttling import take
from throttling.subjects import Caller

end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    print("allowed" if take.take(Caller(user="2"), "api").allowed else "refused", flush=True)
    time.sleep(0.02)

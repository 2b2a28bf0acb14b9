"""A Celery application, as people write one: what it reads from and writes to is in the environment."""

import os
import time

from celery import Celery

app = Celery("tasks", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.task_acks_late = True
app.conf.broker_transport_options = {"visibility_timeout": 3600}


@app.task
def add(x, y):
    return x + y


@app.task(bind=True, max_retries=3)
def third_time_lucky(self, word):
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return word.upper()


@app.task
def slow(seconds):
    time.sleep(seconds)
    return "done"

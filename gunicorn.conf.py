"""Everything about the process: ``gunicorn -c gunicorn.conf.py`` is the whole command.

The knobs are those of app/settings.py, read from the environment.
"""

import atexit
import gc
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

# One thread for each prediction's arithmetic, whatever the environment says: requests run side by side already,
# and a worker hangs where OpenMP's threads were started before the fork. Set before NumPy is imported.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# Where prometheus_client's workers meet; it must be set before that package is imported.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="maas-metrics-")

# The app is found from any folder that the command is given in.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from app import memory
from app.monitor import logs
from app.settings import Settings, SettingsError

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter


def leave_nothing_behind(master: int = os.getpid()) -> None:
    """Remove what the workers wrote, once the master ends; they end by the same way."""
    if os.getpid() == master:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


atexit.register(leave_nothing_behind)
try:
    settings = Settings.from_environ()
except SettingsError as fault:
    sys.exit(f"error: {fault}")

logs.configure(settings.log_level, settings.log_format)
memory.let_threads_share_arenas()

# The master imports and loads once, and forks: its workers share that memory.
wsgi_app = "app:create_app(watch=False)"
preload_app = True
bind = settings.address
workers = settings.web_concurrency
worker_class = "app.server.worker.EventWorker" if settings.worker_class == "event" else settings.worker_class
threads = settings.threads
proc_name = "model-as-a-service"

# A worker whose event loop is stuck is replaced after so many seconds; a request's own deadline comes first.
timeout = int(settings.request_timeout) + 30
graceful_timeout = int(settings.request_timeout) + 5
# Longer than nginx keeps an idle connection to us, so that it never sends into one that we just closed.
keepalive = 75
# Files for the workers' heartbeats stay in memory where there is such a place.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108

limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190
# The socket could stop the server; nobody needs it.
control_socket_disable = True
# gunicorn would otherwise prefer a C parser that lets smuggled requests through.
http_parser = "python"

errorlog = "-"
loglevel = settings.log_level.lower()
accesslog = "-" if settings.access_log else None
logger_class = "app.monitor.access.GunicornLogger"

# A new worker has the master's handlers until it sets its own, and what it is told meanwhile would be lost: it would
# stay until it is killed, long after everyone else has stopped. So these wait until it can act on them.
STOPPING = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGWINCH)


def when_ready(server: "Arbiter") -> None:
    """Have signals back in the master after each fork, and let the workers share models that are promoted later."""
    os.register_at_fork(after_in_parent=hear_stopping)
    if worker_class.startswith("app."):
        from app.server.sharing import Sharing

        server.sharing = Sharing(server, server.app.wsgi().extensions["service"].models)
        server.sharing.start()


def hear_stopping() -> None:
    """Let the signals through that :func:`pre_fork` has held up."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def pre_fork(server: "Arbiter", worker: Any) -> None:
    """Keep the collector's hands off what is shared, and hold up signals until the new worker can act on them.

    The collector writes into every object that it looks at.
    """
    gc.collect()
    gc.freeze()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)


def post_worker_init(worker: Any) -> None:
    """Start the threads of the worker, let them take turns quickly, and leave Ctrl-C to the master.

    A terminal sends it to every process, and the master tells the workers itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hear_stopping()
    # Python's lock is handed on ten times as often as by default: what computes long in a thread (a large request, a
    # shadow) holds the event loop up for half a millisecond at a time, not for five.
    sys.setswitchinterval(0.0005)
    worker.wsgi.extensions["start"]()


def worker_exit(server: "Arbiter", worker: Any) -> None:
    """Write what a worker gathered before it is gone."""
    app = getattr(worker, "wsgi", None)
    if app is not None:
        app.extensions["metrics"].flush()


def child_exit(server: "Arbiter", worker: Any) -> None:
    """Forget the gauges of a worker that is gone."""
    from app.monitor.metrics import worker_ended

    worker_ended(worker.pid)
    if hasattr(server, "sharing"):
        server.sharing.worker_gone(worker.pid)

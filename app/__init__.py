"""Model-as-a-Service: a fitted scikit-learn model behind an HTTP endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.settings import Settings


__version__ = "0.1.0"


def create_app(settings: Settings | None = None, *, watch: bool = True) -> Flask:
    """Build the Flask app: find the store, start to load its models, hang the routes.

    Parameters
    ----------
    settings
        The settings; read from the environment where none are given.
    watch
        Whether to follow the store from now on, in threads of this process. Without, the models are loaded once,
        and whoever forks calls ``app.extensions["start"]()`` in the child: threads do not survive a fork.

    Raises
    ------
    SettingsError
        A setting cannot work.
    """
    # Imported here: training and notebooks use app.store without Flask.
    from flask import Flask

    from app.keys import ApiKeys
    from app.monitor.metrics import Metrics
    from app.paths import Paths
    from app.routes import console, docs, exchange, health, models, openapi, platforms, predict, v1, v2
    from app.server.pool import PredictionPool
    from app.service import Service
    from app.settings import Settings
    from app.store import LiveModels, ModelStore

    settings = settings or Settings.from_environ()
    metrics = Metrics()
    catalog = ModelStore(settings.model_store)
    live = LiveModels(
        catalog,
        default=settings.default_model,
        max_loaded=settings.max_loaded_models,
        allow_mismatch=settings.allow_version_mismatch,
        observer=metrics,
    )
    service = Service(settings, live, ApiKeys(settings.api_keys_file), metrics)
    pool = PredictionPool(settings.threads, settings.max_queue, settings.request_timeout)

    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.extensions["service"] = service
    app.extensions["metrics"] = metrics
    paths = Paths(settings.aip_predict_route)
    exchange.register(app, metrics, paths)
    app.register_blueprint(predict.blueprint(service, pool, paths))
    # Before our own: where Vertex chooses one of our paths, it is Vertex that is answered.
    app.register_blueprint(platforms.blueprint(service))
    app.register_blueprint(v2.blueprint(service, catalog))
    app.register_blueprint(v1.blueprint(service))
    app.register_blueprint(models.blueprint(service, catalog))
    app.register_blueprint(health.blueprint(service))
    app.register_blueprint(console.blueprint(service, paths))
    app.register_blueprint(openapi.blueprint(service, paths))
    app.register_blueprint(docs.blueprint())
    platforms.check_predict_route(app, settings.aip_predict_route)

    def start() -> None:
        live.start()
        metrics.start()

    app.extensions["start"] = start
    if watch:
        start()
    else:
        live.refresh()
    return app

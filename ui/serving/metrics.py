"""`/metrics` for Prometheus: what is logged is counted, and the rest is read when it is asked for.

Imported only where `METRICS` is on. No label holds what a caller chooses: each value is one of a few that stand in the
code or in the settings.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from auth import Auth, JWTBearer
from auth.errors import AuthError, NotFound, ScopeTooNarrow, subclasses
from auth.events import EVENTS, observers
from auth.identity import credential_in
from auth.web import proxy_sign

VERIFICATION_SECONDS = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.025)
LAG_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


def metrics_routes(auth: Auth, *, queue: Callable[[], tuple[int, int]]) -> APIRouter:
    """`/metrics`, for who asks on this machine itself or with the scope `METRICS_SCOPE`.

    Args:
        queue: how many events wait, and how many run.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Readings(auth, queue))
    _count_events(auth, registry)
    if auth.verifier:
        text = "Time to verify a token that was not seen before and is good"
        auth.verifier.observe = Histogram(
            "app_verification_seconds", text, registry=registry, buckets=VERIFICATION_SECONDS
        ).observe
    if auth.shared:
        text = "From a sign-out, or the use of a code, on any replica until this one has heard of it from Redis"
        auth.shared.observe = Histogram("app_shared_seconds", text, registry=registry, buckets=LAG_SECONDS).observe
    router = APIRouter(include_in_schema=False, dependencies=[Depends(_may_read(auth.settings.metrics_scope))])

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(
            generate_latest(registry), headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE_LATEST
        )

    return router


def _may_read(scope: str) -> Callable[[Request], Any]:
    bearer = JWTBearer(scopes=(scope,))

    async def may_read(request: Request) -> None:
        credential = credential_in(request.scope)
        if not proxy_sign(request.scope):
            if credential.token is not None:
                _ = credential.identity  # a bad one is refused wherever it comes from
            return
        if not scope:
            raise NotFound("metrics are for this machine, and METRICS_SCOPE names no scope")
        await bearer(request)
        if credential.identity.client is not None:  # such a token has the scopes of API_SCOPES, whoever the person is
            raise ScopeTooNarrow("a person's program", expected=(scope,))

    return may_read


def _count_events(auth: Auth, registry: CollectorRegistry) -> None:
    text = "What the log has: by the event's name, the error's name or `over`, and the provider's"
    counter = Counter("app_events", text, ["event", "reason", "provider"], registry=registry)
    for event in EVENTS:
        counter.labels(event, "", "")  # at 0, so that the first is an increase
    reasons = {"over", *(error.__name__ for error in subclasses(AuthError))}

    def count(event: str, about: Mapping[str, Any]) -> None:
        reason, provider = about.get("error", about.get("reason")), about.get("provider")
        counter.labels(event, reason if reason in reasons else "", provider if provider in auth.providers else "").inc()

    observers.append(count)


class _Readings(Collector):
    """What the parts of the app know, each time it is asked for."""

    def __init__(self, auth: Auth, queue: Callable[[], tuple[int, int]]) -> None:
        self._auth = auth
        self._queue = queue

    def collect(self) -> Iterator[Metric]:
        auth = self._auth
        problems, ready = auth.readiness()
        waiting, running = self._queue()
        yield GaugeMetricFamily("app_ready", "1 while somebody can come in, as /readyz says", ready)
        yield GaugeMetricFamily("app_problems", "How many things fail just now, as /readyz says", len(problems))
        live = "Sessions used here within SESSION_IDLE_MINUTES and not ended since, as far as is known here"
        yield GaugeMetricFamily("app_sessions", live, auth.sessions.live)
        streams = sum(gate.streams for gate in auth.gates)
        yield GaugeMetricFamily("app_streams", "Streams that are open, a tab's heartbeat among them", streams)
        events = GaugeMetricFamily(
            "app_queue_events", "Events that wait in Gradio's queue, and that run", labels=["state"]
        )
        events.add_metric(["waiting"], waiting)
        events.add_metric(["running"], running)
        yield events
        if auth.shared:
            yield GaugeMetricFamily(
                "app_sharing", "1 while sign-outs are shared through Redis", not auth.shared.problem
            )
        yield self._fetches()

    def _fetches(self) -> Metric:
        family = CounterMetricFamily(
            "app_fetches", "Metadata and keys that were fetched", labels=["what", "of", "outcome"]
        )
        counted = []
        for provider in self._auth.providers.values():
            counted.append(("metadata", provider.name, [provider.published.fetches]))
            keys = provider.published.known_keys
            counted.append(("keys", provider.name, [keys.fetches] if keys else []))
        if self._auth.verifier:
            pool = set(self._auth.verifier.key_sets.values())
            counted.append(("keys", "user pool", [keys.fetches for keys in pool]))
        for what, of, counts in counted:
            for outcome in ("ok", "failed"):
                family.add_metric([what, of, outcome], sum(count[outcome] for count in counts))
        return family

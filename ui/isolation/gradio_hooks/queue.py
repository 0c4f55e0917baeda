"""Gradio's queue."""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from gradio import queueing, routes
from gradio.block_function import BlockFunction
from gradio.server_messages import EventMessage, ProcessCompletedMessage

from ui.isolation.gradio_hooks.running import Call, call_here
from ui.isolation.limits import Limits
from ui.isolation.rooms import room_here, room_of

TURN_SECONDS = 60.0
RESTART_SECONDS = 1.0

log = logging.getLogger("auth")


class EventQueue(queueing.EventQueue):
    """The events that wait for a turn of the same kind: a list as Gradio has it, and by the name of their room."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.queue: Any = Waiting()


class Waiting(list[Any]):
    """Attributes:
    rooms: the events of each, in the order that they came in; never none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rooms: defaultdict[str, list[Any]] = defaultdict(list)

    def append(self, event: Any) -> None:
        super().append(event)
        self.rooms[event.room.name].append(event)

    def remove(self, event: Any) -> None:
        super().remove(event)
        self.rooms[event.room.name].remove(event)
        if not self.rooms[event.room.name]:
            del self.rooms[event.room.name]


class RoomQueue(queueing.Queue):
    """Gradio's queue, in which nobody takes another's turn, and which goes on after a fault.

    Many wait in it, so nothing that is done for one event goes through those of all others.
    """

    limits: Limits
    is_still_valid: Callable[[Any], bool]
    sweeping: asyncio.Task[None]
    event_queue_per_concurrency_id: dict[str, Any]
    active_jobs: list[Any]

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        room = room_here()
        assert room
        self.limits.check_events(len(self._events(room.name)))
        joined, event_id, state = await super().push(body, request, username)
        event: Any = self.event_ids_to_events.get(str(event_id))
        if event and event not in self._events(event.room.name):
            del self.event_ids_to_events[event._id]  # gr.cache had its outputs, and Gradio would keep it for ever
        return joined, event_id, state

    def is_idle(self, session: str) -> bool:
        return all(event.session_hash != session for event in self._events(room_of(session)))

    def _events(self, room: str) -> list[Any]:
        """Those of a room that wait, and those that run."""
        found = [event for job in self.active_jobs for event in job or () if event.room.name == room]
        for queue in self.event_queue_per_concurrency_id.values():
            found += queue.queue.rooms.get(room, ())
        return found

    def get_events(self) -> tuple[list[Any], bool, str] | None:
        """What runs next. Of those who wait, who has the fewest events comes first, but nobody waits longer than
        `TURN_SECONDS` for that. A batch is of one room, and of one session where the function has a state.
        """
        waiting: list[dict[str, list[Any]]] = [
            queue.queue.rooms
            for queue in self.event_queue_per_concurrency_id.values()
            if queue.concurrency_limit is None or queue.current_concurrency < queue.concurrency_limit
        ]
        running = Counter(job[0].room.name for job in self.active_jobs if job)
        full = {room for room, count in running.items() if count >= self.limits.running}
        counts = running.copy()
        for rooms in waiting:
            counts.update({room: len(events) for room, events in rooms.items()})
        overdue = time.monotonic() - TURN_SECONDS
        first = min(
            (events[0] for rooms in waiting for room, events in rooms.items() if room not in full),
            key=lambda event: (event.enqueue_time > overdue and counts[event.room.name], event.enqueue_time),
            default=None,
        )
        if first is None:
            return None
        queue = self.event_queue_per_concurrency_id[first.concurrency_id].queue
        fn = first.fn
        in_one_session = has_state(fn)
        together = [
            event
            for event in queue.rooms[first.room.name]
            if event.fn == fn and (not in_one_session or event.session_hash == first.session_hash)
        ]
        together.remove(first)
        events = [first, *together[: fn.max_batch_size - 1 if fn.batch else 0]]
        for event in events:
            queue.remove(event)
        return events, fn.batch, first.concurrency_id

    async def process_events(self, events: list[Any], *args: Any) -> None:
        """In their room, and only what is still somebody's to run: its turn may come after a sign-out."""
        for event in events:
            if not self.is_still_valid(event.request):
                output = {"error": "Your session ended before this event's turn came. Please sign in again."}
                self.send_message(event, ProcessCompletedMessage(output=output, success=False))
                event.alive = False
        call_here.set(Call(time.time()))
        with events[0].room.entered():
            await super().process_events(events, *args)

    def send_message(self, event: Any, event_message: EventMessage) -> None:
        """A session that is gone is no fault: left alone, it would end the whole queue."""
        if event.session_hash in self.pending_messages_per_session:
            super().send_message(event, event_message)

    async def start_processing(self) -> None:
        try:
            await super().start_processing()
        except Exception:
            log.exception("the queue stopped")
        await asyncio.sleep(RESTART_SECONDS)
        log.error("the queue is started again")
        self.stopped = False
        self.start()  # type: ignore[no-untyped-call]

    def compute_analytics_summary(self, records: Any) -> dict[str, Any]:
        """Nothing: monitoring is off, and this takes longer with every event."""
        return {}


def has_state(fn: BlockFunction) -> bool:
    """Whether it reads or writes what Gradio keeps for a session."""
    return any(block.stateful for block in (*fn.inputs, *fn.outputs))


def queue_of(app: routes.App) -> queueing.Queue:
    return app.get_blocks()._queue


def queue_lengths(app: routes.App) -> tuple[int, int]:
    """How many events wait, and how many run."""
    queue: Any = queue_of(app)
    waiting = sum(len(one.queue) for one in queue.event_queue_per_concurrency_id.values())
    return waiting, sum(len(job or ()) for job in queue.active_jobs)


def queue_problem(app: routes.App) -> str | None:
    return "queue: it has stopped, and is started again" if app.get_blocks()._queue.stopped else None

"""All meters of the house: which pictures are read, what follows for each history, and what is announced.

    picture ──► has a layout? ──► Pictures (a worker reads it) ──► MeterHistory ──► rows, announcements
    device's own reading ────────────────────────────────────────►     ▲
    the owner's word ──────────────────────────────────────────────────┘

A picture of a meter without a layout is kept and no more. When a layout is set, the latest picture is read
at once and each that comes from then on; the earlier ones are not, for the camera may have stood otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from meerkat_contract.messages import MeterOrder, MeterSeen, Receipt
from meerkat_contract.meter_layout import MeterLayout
from meerkat_contract.meter_messages import unread
from meerkat_hub.core.inputs import PictureArrived
from meerkat_hub.core.meter_records import (
    AnswerMeter,
    ConfiguredMeter,
    LayoutSaved,
    MeterAsked,
    MeterInput,
    MeterKey,
    MetersAsked,
    MeterView,
    PictureSettled,
    PictureWaits,
    ReadNow,
    SeenArrived,
    SetLayout,
    SetSettings,
    SettingsSaved,
    ShowMeters,
    StoredMeters,
)
from meerkat_hub.core.outputs import Decision, PictureStored, SendReceipt
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.records import MeterPicture, Now

from .answers import asked_for
from .counters import Counters, say
from .pictures import TASK, Ended, Pictures
from .rows import PictureSeen, Source
from .settings import MeterSettings

LOOK_EVERY = 600.0
"""Seconds between looks whether a meter has been silent, or has run, for too long."""


class Meters:
    """Belongs to the hub's core; `pool` deals their pictures out."""

    def __init__(
        self,
        pool: Pool,
        new_id: Callable[[], str],
        *,
        expire_after: float,
        configured: Mapping[MeterKey, ConfiguredMeter] | None = None,
    ) -> None:
        """`expire_after`: seconds that a picture may wait for a worker."""
        self._pool = pool
        self._configured = dict(configured or {})
        self._layouts: dict[MeterKey, MeterLayout] = {}
        self._settings: dict[MeterKey, MeterSettings] = {}
        self._counters = Counters(new_id, self.settings, self.layout)
        self._look_at = 0.0
        self.pictures = Pictures(
            pool, expire_after=expire_after, order_of=self._order_of, ended=self._picture_ended
        )

    def load(self, stored: StoredMeters, now: Now) -> Decision:
        """Take over what the database holds, and say again on the bus how each counter stands."""
        out = Decision()
        self._layouts = dict(stored.layouts)
        self._settings = dict(stored.settings)
        for counter in stored.counters:
            self._counters.load(counter, out)
        waiting = [one for one in stored.waiting if self.layout((one[0].device, one[0].meter))]
        self.pictures.load(waiting, now)
        loaded = {picture.id for picture, _ in waiting}
        for picture, _ in stored.waiting:  # the layout has gone out of the configuration meanwhile
            if picture.id not in loaded:
                out.changes.append(PictureSettled(picture.id, "kept"))
        return out

    # --- what is known --------------------------------------------------------------------------

    def layout(self, key: MeterKey) -> MeterLayout | None:
        """Where the meter's wheels are: as the configuration says, else as it was set."""
        configured = self._configured.get(key)
        if configured is not None and configured.layout is not None:
            return configured.layout
        return self._layouts.get(key)

    def settings(self, key: MeterKey) -> MeterSettings:
        configured = self._configured.get(key)
        if configured is not None and configured.settings is not None:
            return configured.settings
        return self._settings.get(key) or MeterSettings()

    def _order_of(self, picture: MeterPicture) -> MeterOrder:
        layout = self.layout((picture.device, picture.meter))
        return MeterOrder(layout=layout, landmarks=layout is not None and _wants_landmarks(layout, picture))

    # --- what happens ---------------------------------------------------------------------------

    def arrived(self, happened: PictureArrived, now: Now, out: Decision) -> None:
        """A picture has come and is kept; it is read if it is known where to look."""
        picture = happened.picture
        out.effects.append(SendReceipt(picture.device, Receipt(id=picture.id, outcome="stored")))
        where = f"{picture.device}/{picture.meter}"
        state = "kept"
        if happened.read:  # by its device
            state = "done"
        elif self.layout((picture.device, picture.meter)) is not None:
            state = "waiting"
            self.pictures.add(picture, now)
        out.changes.append(PictureStored(picture, state))
        if state == "kept":
            out.notes.append(f"{where}: picture {picture.id} is kept; nobody has said where its wheels are")

    def happened(self, happened: MeterInput, now: Now, out: Decision) -> None:
        match happened:
            case SeenArrived():
                self._seen(happened, now, out)
            case MeterAsked():
                self._asked(happened, now, out)
            case MetersAsked(ticket=ticket, only=only):
                readers = sum(member.does(TASK) for member in self._pool.members.values())
                out.effects.append(ShowMeters(ticket, self._views(only), readers))

    def _seen(self, arrived: SeenArrived, now: Now, out: Decision) -> None:
        out.effects.append(SendReceipt(arrived.device, Receipt(id=arrived.id, outcome="stored")))
        key, picture = (arrived.device, arrived.meter), arrived.picture
        waiting = self.pictures.unfinished.get(picture)
        if waiting is not None and (waiting.device, waiting.meter) != key:
            out.notes.append(f"{'/'.join(key)}: its reading names picture {picture} of another meter")
            picture = arrived.id
        elif self.pictures.settled(picture) is not None:
            out.changes.append(PictureSettled(picture, "done"))
        at = min(arrived.at, now.wall)
        self._take(key, picture, at, arrived.seen, source="device", out=out)

    def _picture_ended(self, ended: Ended, out: Decision) -> None:
        """A picture has been read, or never will be."""
        picture, result = ended.picture, ended.result
        seen = result.meter if result is not None else None
        out.changes.append(
            PictureSettled(
                picture.id,
                ended.state,
                ended.reason,
                result.model if result is not None else None,
                result.seconds if result is not None else 0.0,
                ended.worker,
                seen.alignment if seen is not None else None,
            )
        )
        key = (picture.device, picture.meter)
        layout = self.layout(key)
        if layout is None:
            return
        if seen is None:
            seen = unread(layout, ended.reason)
        else:
            if _wants_landmarks(layout, picture):
                self._landmarks(key, layout, seen, out)
            seen, doubts = asked_for(layout, seen, ended.worker)
            out.notes += [f"{'/'.join(key)}: {doubt}" for doubt in doubts]
        # A camera's clock may be ahead: a reading of tomorrow would set aside all until then.
        at = min(picture.captured_at, picture.received_at)
        self._take(key, picture.id, at, seen, source="picture", out=out)

    def _landmarks(self, key: MeterKey, layout: MeterLayout, seen: MeterSeen, out: Decision) -> None:
        """The picture that the layout was drawn on has been read: how later ones are laid on it."""
        out.notes += [f"{'/'.join(key)}: {doubt}" for doubt in seen.doubts]
        made = seen.layout
        if made is None or self._is_fixed(key):
            return
        # A picture in which nothing can be recognised again is no reference: it is not asked twice.
        reference = layout.reference if made.landmarks is not None else ""
        found = {"landmarks": made.landmarks, "width": made.width, "height": made.height}
        self._layouts[key] = layout.model_copy(update={**found, "reference": reference})
        out.changes.append(LayoutSaved(*key, self._layouts[key]))

    def _take(
        self, key: MeterKey, picture: str, at: datetime, seen: MeterSeen, *, source: Source, out: Decision
    ) -> None:
        for one in seen.counters:
            counter = self._counters.of(*key, one.counter or "")
            say(counter, counter.history.saw(PictureSeen(picture, at, one, source)), out)

    # --- what is asked --------------------------------------------------------------------------

    def _asked(self, asked: MeterAsked, now: Now, out: Decision) -> None:
        key = (asked.device, asked.meter)
        match asked.wish:
            case ReadNow(picture=picture, order=order):
                self.pictures.ask(asked.ticket, picture, order, now, out)
                return
            case SetLayout() as wish:
                answer = self._set_layout(asked.ticket, key, wish, now, out)
            case SetSettings(settings=settings):
                answer = self._set_settings(asked.ticket, key, settings, out)
            case wish:
                answer = self._counters.told(asked.ticket, key, wish, now, out)
        out.effects.append(answer)

    def _is_fixed(self, key: MeterKey) -> bool:
        """Whether the configuration has the layout."""
        configured = self._configured.get(key)
        return configured is not None and configured.layout is not None

    def _set_layout(
        self, ticket: str, key: MeterKey, wish: SetLayout, now: Now, out: Decision
    ) -> AnswerMeter:
        if self._is_fixed(key):
            return AnswerMeter(ticket, "configured", "its layout is in the configuration")
        layout, latest = wish.layout, wish.latest
        if layout is None:
            self._layouts.pop(key, None)
            for picture in self.pictures.withdraw(*key):
                out.changes.append(PictureSettled(picture.id, "kept"))
        elif clash := self._counters.clashing(key, layout):
            why = f"a counter would be called {clash} on the bus, as another meter is: give it another name"
            return AnswerMeter(ticket, "wrong", why)
        else:
            try:
                for counter in layout.all_counters.values():
                    self.settings(key).conversion(counter.unit)
            except ValueError as error:
                return AnswerMeter(ticket, "wrong", str(error))
            self._layouts[key] = layout
            self.pictures.again(*key, now)
            if latest is not None and not self.pictures.knows(latest.id):
                out.changes.append(PictureWaits(latest.id))
                self.pictures.add(latest, now)
        out.changes.append(LayoutSaved(*key, layout))
        return AnswerMeter(ticket, "done")

    def _set_settings(
        self, ticket: str, key: MeterKey, settings: MeterSettings | None, out: Decision
    ) -> AnswerMeter:
        configured = self._configured.get(key)
        if configured is not None and configured.settings is not None:
            return AnswerMeter(ticket, "configured", "its settings are in the configuration")
        wanted = settings or MeterSettings()
        mine = self._counters.of_meter(key)
        units = {counter.history.unit for counter in mine} - {""}
        if (layout := self.layout(key)) is not None:
            units |= {one.unit for one in layout.all_counters.values()}
        try:
            for unit in units:
                wanted.conversion(unit)
        except ValueError as error:
            return AnswerMeter(ticket, "wrong", str(error))
        if settings is None:
            self._settings.pop(key, None)
        else:
            self._settings[key] = settings
        out.changes.append(SettingsSaved(*key, settings))
        notes: tuple[str, ...] = ()
        for counter in mine:
            notes += say(counter, counter.history.changed(wanted), out)
        return AnswerMeter(ticket, "done", notes=notes)

    def _views(self, only: MeterKey | None) -> tuple[MeterView, ...]:
        waiting = self.pictures.waiting
        keys = {*self._configured, *self._layouts, *self._settings, *self._counters.meters, *waiting}
        return tuple(self._view(key, waiting.get(key, 0)) for key in sorted(keys) if only in (None, key))

    def _view(self, key: MeterKey, waiting: int) -> MeterView:
        configured = self._configured.get(key)
        return MeterView(
            *key,
            layout=self.layout(key),
            layout_configured=self._is_fixed(key),
            settings=self.settings(key),
            settings_configured=configured is not None and configured.settings is not None,
            waiting=waiting,
            counters=tuple(counter.view() for counter in self._counters.of_meter(key)),
        )

    # --- time -----------------------------------------------------------------------------------

    def pass_time(self, now: Now, out: Decision) -> None:
        self.pictures.pass_time(now, out)
        if now.mono >= self._look_at:
            self._look_at = now.mono + LOOK_EVERY
            for counter in self._counters.all:
                say(counter, counter.history.reached(now.wall), out)

    def wake_at(self) -> float | None:
        """When `pass_time` may next have something to do."""
        due = self.pictures.wake_at()
        if not self._counters.all:
            return due
        return self._look_at if due is None else min(due, self._look_at)


def _wants_landmarks(layout: MeterLayout, picture: MeterPicture) -> bool:
    """Whether the layout was drawn on this picture, and it is not known yet how to find it again."""
    return layout.landmarks is None and layout.reference == picture.id

"""The page of a trained run: a digit is drawn, or test digits fade into one another."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Any

from nicegui import Client, ui

from ratenet.app import skeleton
from ratenet.app.controls import Controls, as_query, from_query, sliders
from ratenet.app.messages import examined_message, facts_of, frame_message
from ratenet.app.settling import Settling, controls_of
from ratenet.app.tab import Tab
from ratenet.app.targets import RunTarget
from ratenet.errors import InputError, RatenetError

TITLES = {
    "tau": "tau (ms)",
    "hold": "hold (tau)",
    "fade": "fade (tau)",
    "weight_scale": "weight scale",
    "gain": "gain of the drive",
    "noise": "noise",
    "speed": "speed (tau per second)",
}


class RunPage:
    """What one tab shows of a trained run.

    Parameters
    ----------
    target : RunTarget
    client : Client
    query : mapping of str to str
        Controls, and `image`: the number of a test image.
    """

    def __init__(self, target: RunTarget, client: Client, query: Mapping[str, str]) -> None:
        self._tab, self._shown = Tab(client), None
        run = target.load()
        self._start = controls_of(run)
        controls, images, wrong = self._start, target.images, ""
        given = dict(query)
        number = given.pop("image", None)
        try:
            controls = from_query(self._start, given)
        except RatenetError as error:
            wrong = str(error)
        known = None if isinstance(images, str) else images.test
        self._session = Settling(run, known, controls)
        if number is not None:
            try:
                self._shown = self._session_shows(number)
            except RatenetError as error:
                wrong = wrong or str(error)
        self._build(run, wrong or (images if isinstance(images, str) else ""))
        self._tab.begin(self._play)
        self._tab.begin(partial(self._tab.watch, "eigenvalues", self._examine))

    def _session_shows(self, text: str) -> int:
        if not text.isdecimal() or len(text) > 9:
            raise InputError.at("address, image", got=text, expected="the number of a test image")
        self._session.show(int(text))
        return int(text)

    def _build(self, run: Any, note: str) -> None:
        with ui.element("main").classes("rn-page"):
            with ui.element("header").classes("rn-head"):
                ui.html("<h1>A digit settles</h1>", sanitize=False)
                ui.html(
                    f"<p>{escape(repr(run)[len('LoadedRun(') : -1])} · "
                    '<a href="/learning">two rules learn</a></p>',
                    sanitize=False,
                )
                ui.html('<output id="fps"></output>', sanitize=False)
            if note:
                ui.label(note).classes("rn-note rn-wrong").props("id=wrong")
            with ui.element("section").classes("rn-side"):
                self._build_buttons()
                self._sliders = {each.name: self._slider(each) for each in sliders(Controls)}
            with ui.element("section"):
                ui.html(skeleton.RUN, sanitize=False)
                ui.html('<p class="rn-note rn-wrong" id="note" role="status"></p>', sanitize=False)
                ui.html('<p class="rn-note" id="certificate" role="status"></p>', sanitize=False)
        ui.on("drawn", self._drawn)

    def _build_buttons(self) -> None:
        with ui.element("div").classes("rn-buttons"):
            small = "dense no-caps unelevated size=12px padding=4px_8px"
            if self._session.images is not None:
                ui.button("Test digits", on_click=self._stream).props(small)
                ui.button("Next digit", on_click=self._next).props(small)
            ui.button("Show the drawing", on_click=self._redraw).props(small)
            ui.button("Clear", on_click=self._clear).props(small)
            ui.button("Reset", on_click=self._reset).props(small)
            ui.button("Save picture", on_click=self._save_picture).props(small)
            ui.button("Save data", on_click=self._save_data).props(small)

    def _slider(self, each: Any) -> Any:
        value = getattr(self._session.controls, each.name)
        with ui.element("div").classes("rn-name"):
            ui.label(TITLES[each.name]).tooltip(each.help)
            shown = ui.label(f"{value:g}").props(f"id=value-{each.name}")
        step = 0.01 if each.high <= 5 else 0.25 if each.high <= 50 else 1

        async def moved(event: Any) -> None:
            shown.text = f"{event.value:g}"
            await self._moved(each.name, float(event.value))

        slider = ui.slider(min=each.low, max=each.high, step=step, value=value, on_change=moved)
        return slider.props(f'id=slider-{each.name} aria-label="{TITLES[each.name]}"')

    async def _play(self) -> None:
        await self._tab.send("start", facts_of(self._session))
        await self._tab.play(self._frame)

    def _frame(self, seconds: float) -> dict[str, Any]:
        return frame_message(self._session.advance(seconds), self._session.shape)

    def _examine(self) -> dict[str, Any]:
        return examined_message(self._session.examine())

    async def _moved(self, name: str, value: float) -> None:
        controls = dataclasses.replace(self._session.controls, **{name: value})
        if controls != self._session.controls:
            await self._tab.compute(self._session.move, controls)
            self._tell_address()

    def _reset(self) -> None:
        for name, slider in self._sliders.items():
            slider.value = getattr(self._start, name)

    async def _stream(self) -> None:
        self._shown = None
        await self._tab.compute(self._session.stream)
        self._tell_address()

    async def _next(self) -> None:
        assert self._session.images is not None
        number = 0 if self._shown is None else self._shown + 1
        self._shown = number % len(self._session.images)
        await self._tab.compute(self._session.show, self._shown)
        self._tell_address()

    async def _drawn(self, event: Any) -> None:
        try:
            pixels = _pixels(event.args)
            await self._tab.compute(self._session.draw, pixels)
        except RatenetError as error:
            self._tab.say(str(error))
        else:
            self._shown = None
            self._tell_address()

    def _clear(self) -> None:
        ui.run_javascript("ratenet.clearPad()")

    def _redraw(self) -> None:
        ui.run_javascript("ratenet.sendPad()")

    def _tell_address(self) -> None:
        query = as_query(self._session.controls, self._start)
        if self._shown is not None:
            query += ("&" if query else "") + f"image={self._shown}"
        ui.run_javascript(f"ratenet.address({query!r})")

    def _save_picture(self) -> None:
        ui.run_javascript("ratenet.savePicture('ratenet.png')")

    async def _save_data(self) -> None:
        table = await self._tab.compute(self._session.table)
        ui.download.content(table.to_csv(index=False), "ratenet.csv", "text/csv")


def _pixels(given: Any) -> list[float]:
    """Return grey values 0 to 255, as a tab sends them, as pixels from 0 to 1."""
    values = given if isinstance(given, list) else []
    if not all(isinstance(v, int) and 0 <= v <= 255 for v in values):
        raise InputError.at("drawing", got=given, expected="grey values from 0 to 255")
    return [value / 255 for value in values]

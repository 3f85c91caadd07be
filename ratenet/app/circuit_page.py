"""The page of a circuit of two units: phase plane and bifurcation diagram, moved by sliders."""

import asyncio
import dataclasses
from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd
from nicegui import Client, ui

from ratenet.app import skeleton
from ratenet.app.controls import as_query, from_query
from ratenet.app.knobs import Knob
from ratenet.app.messages import diagram_message, path_message, portrait_message
from ratenet.app.plane import Plane
from ratenet.app.tab import Tab
from ratenet.errors import RatenetError
from ratenet.fixed_points.continuation.branch import Branch

POINTS = '<table class="rn-points" id="points"></table>'


class CircuitPage:
    """What one tab shows of a circuit.

    Parameters
    ----------
    name : str
    client : Client
    query : mapping of str to str
        Controls, and `along`: which of them the diagram follows.
    """

    def __init__(self, name: str, client: Client, query: Mapping[str, str]) -> None:
        self._tab, self._changed, self._wrong = Tab(client), asyncio.Event(), ""
        given = dict(query)
        self._along = given.pop("along", "drive_0")
        self._plane = Plane(name)
        self._branches: list[Branch] = []
        self._drawn_for: tuple[str, Any] | None = None
        self._path: Any = None
        try:
            self._plane.knob(self._along)
            self._plane.controls = from_query(self._plane.start, given)
        except RatenetError as error:
            self._wrong = str(error)
            self._along = self._along if self._along in self._plane.knobs else "drive_0"
        self._build()
        self._changed.set()
        self._tab.begin(self._follow)

    def _build(self) -> None:
        circuit = self._plane.circuit
        with ui.element("main").classes("rn-page"):
            with ui.element("header").classes("rn-head"):
                ui.html(f"<h1>{escape(circuit.title)}</h1>", sanitize=False)
                ui.html(f"<p>{escape(circuit.source)}</p>", sanitize=False)
            if self._wrong:
                ui.label(self._wrong).classes("rn-note rn-wrong").props("id=wrong")
            with ui.element("section").classes("rn-side"):
                with ui.element("div").classes("rn-buttons"):
                    small = "dense no-caps unelevated size=12px padding=4px_8px"
                    ui.button("Reset", on_click=self._reset).props(small)
                    ui.button("Save picture", on_click=self._save_picture).props(small)
                    ui.button("Save data", on_click=self._save_data).props(small)
                self._sliders = {
                    name: self._slider(knob) for name, knob in self._plane.knobs.items()
                }
            with ui.element("section"):
                ui.html(skeleton.CIRCUIT, sanitize=False)
                ui.html(POINTS, sanitize=False)
                ui.html('<p class="rn-note" id="certificate" role="status"></p>', sanitize=False)
        ui.on("clicked", self._clicked)

    def _slider(self, knob: Knob) -> Any:
        value = getattr(self._plane.controls, knob.name)
        with ui.element("div").classes("rn-name"):
            name = ui.label(knob.label)
            if knob.help:
                name.tooltip(knob.help)
            shown = ui.label(f"{value:.4g}").props(f"id=value-{knob.name}")

        def slid(event: Any) -> None:
            shown.text = f"{event.value:.4g}"
            self._moved(knob.name, float(event.value))

        slider = ui.slider(min=knob.low, max=knob.high, step=knob.step, value=value, on_change=slid)
        return slider.props(f'id=slider-{knob.name} aria-label="{escape(knob.label)}"')

    async def _follow(self) -> None:
        """Draw anew whenever something has moved: the plane first, then the diagram."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            plane, along = self._plane, self._along
            portrait = await self._tab.compute(plane.portrait)
            await self._tab.send("portrait", portrait_message(plane, portrait))
            others = dataclasses.replace(plane.controls, **{along: getattr(plane.start, along)})
            if self._drawn_for != (along, others):
                self._branches = await self._tab.compute(plane.diagram, along)
                self._drawn_for = (along, others)
            await self._tab.send("diagram", diagram_message(plane, along, self._branches))

    def _moved(self, name: str, value: float) -> None:
        controls = dataclasses.replace(self._plane.controls, **{name: value})
        if controls == self._plane.controls:
            return
        self._plane.controls, self._along = controls, name
        self._changed.set()
        query = as_query(controls, self._plane.start)
        query += ("&" if query else "") + f"along={name}"
        ui.run_javascript(f"ratenet.address({query!r})")

    def _reset(self) -> None:
        for name, slider in self._sliders.items():
            slider.value = getattr(self._plane.start, name)

    async def _clicked(self, event: Any) -> None:
        try:
            self._path = await self._tab.compute(self._plane.path, event.args)
        except RatenetError as error:
            self._tab.say(str(error))
        else:
            await self._tab.send("path", path_message(self._path))

    def _save_picture(self) -> None:
        ui.run_javascript("ratenet.savePicture('ratenet.png')")

    def _save_data(self) -> None:
        tables = [branch.to_pandas().assign(branch=n) for n, branch in enumerate(self._branches)]
        if not tables:
            self._tab.say("There is no branch of fixed points yet; wait until it is drawn.")
            return
        table = pd.concat(tables, ignore_index=True)
        ui.download.content(table.to_csv(index=False), "branches.csv", "text/csv")
        if self._path is not None:
            names = [f"{self._plane.circuit.network.model.states[0]}_{n}" for n in range(2)]
            states = pd.DataFrame(self._path.states.numpy(), columns=names)
            states.insert(0, "time", self._path.t.numpy())
            ui.download.content(states.to_csv(index=False), "trajectory.csv", "text/csv")

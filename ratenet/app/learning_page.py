"""The page on which two rules learn from the same images, side by side."""

import dataclasses
from collections.abc import Mapping
from html import escape
from typing import Any

from nicegui import Client, ui

from ratenet.app import skeleton
from ratenet.app.controls import as_query, from_query
from ratenet.app.learning import SIDES, Learning, LearningControls, rule_names
from ratenet.app.messages import learned_message, spectra_message
from ratenet.app.tab import Tab
from ratenet.app.targets import RunTarget
from ratenet.errors import RatenetError

SPECTRA_EVERY = 5  # steps
SMALL = "dense no-caps unelevated size=12px padding=4px_8px"


class LearningPage:
    """What one tab shows of two rules that learn.

    Parameters
    ----------
    target : RunTarget
        The run whose data, model, sizes and seed are taken.
    client : Client
    query : mapping of str to str
        Controls.
    """

    def __init__(self, target: RunTarget, client: Client, query: Mapping[str, str]) -> None:
        self._tab, self._config, self._images = Tab(client), target.load().config, target.images
        self._controls, self._is_held, wrong = LearningControls(), False, ""
        self._learning: Learning | None = None
        try:
            self._controls = from_query(LearningControls(), query)
        except RatenetError as error:
            wrong = str(error)
        self._build(wrong or (self._images if isinstance(self._images, str) else ""))
        if not isinstance(self._images, str):
            self._tab.begin(self._play)

    def _build(self, wrong: str) -> None:
        with ui.element("main").classes("rn-page"):
            with ui.element("header").classes("rn-head"):
                ui.html("<h1>Two rules learn</h1>", sanitize=False)
                ui.html(
                    "<p>the same images in the same order, the same first weights · "
                    f'<a href="/">a digit settles</a></p>{skeleton.number("step")}',
                    sanitize=False,
                )
            if wrong:
                ui.label(wrong).classes("rn-note rn-wrong").props("id=wrong")
            with ui.element("section").classes("rn-side"):
                with ui.element("div").classes("rn-buttons"):
                    self._pause = ui.button("Pause", on_click=self._hold).props(SMALL)
                    ui.button("Begin anew", on_click=self._restart).props(SMALL)
                    ui.button("Save picture", on_click=self._save_picture).props(SMALL)
                    ui.button("Save data", on_click=self._save_data).props(SMALL)
                for side in SIDES:
                    self._build_side(side)
            with ui.element("section"):
                ui.html(skeleton.LEARNING, sanitize=False)

    def _build_side(self, side: str) -> None:
        rule, rate = (getattr(self._controls, name) for name in (side, f"{side}_rate"))
        ui.select(
            rule_names(),
            label=side,
            value=rule,
            on_change=lambda event: self._moved(side, event.value),
        ).props(f'dense outlined id=rule-{side} aria-label="{side} rule"').classes(f"rn-{side}")
        with ui.element("div").classes("rn-name"):
            ui.label("learning rate")
            shown = ui.label(f"{rate:g}")

        def slid(event: Any) -> None:
            shown.text = f"{event.value:g}"
            self._moved(f"{side}_rate", float(event.value))

        slider = ui.slider(min=0.01, max=2, step=0.01, value=rate, on_change=slid)
        slider.props(f'id=slider-{side}-rate aria-label="learning rate, {escape(side)}"')

    async def _play(self) -> None:
        """Take steps for ever, as long as somebody looks on; begin anew when something moved."""
        while True:
            controls = self._controls
            self._learning = None
            try:
                learning = await self._tab.compute(Learning, self._config, self._images, controls)
                await self._tab.send("begin", {"steps": learning.steps})
                self._learning = learning
                await self._learn(learning, controls)
            except RatenetError as error:  # a rule that does not fit the network
                self._tab.say(str(error))
                self._learning = None
                while self._controls is controls:
                    await self._tab.wait()

    async def _learn(self, learning: Learning, controls: LearningControls) -> None:
        number = 0
        while self._controls is controls:
            if self._is_held or learning.is_over:
                await self._tab.wait()
                continue
            steps = await self._tab.compute(learning.advance)
            await self._tab.send("learned", learned_message(steps))
            if number % SPECTRA_EVERY == 0:
                spectra = await self._tab.compute(learning.eigenvalues)
                await self._tab.send("spectra", spectra_message(spectra))
            number += 1

    def _moved(self, name: str, value: Any) -> None:
        self._controls = dataclasses.replace(self._controls, **{name: value})
        query = as_query(self._controls, LearningControls())
        ui.run_javascript(f"ratenet.address({query!r})")

    def _restart(self) -> None:
        self._controls = dataclasses.replace(self._controls)

    def _hold(self) -> None:
        self._is_held = not self._is_held
        self._pause.text = "Go on" if self._is_held else "Pause"

    def _save_picture(self) -> None:
        ui.run_javascript("ratenet.savePicture('ratenet.png')")

    async def _save_data(self) -> None:
        if self._learning is None:
            self._tab.say("Nothing has been learned yet; wait for the first step.")
            return
        table = await self._tab.compute(self._learning.table)
        ui.download.content(table.to_csv(index=False), "ratenet.csv", "text/csv")

"""Recordings from NWB files that pynwb wrote: two-photon rates, intervals of stimuli, outcomes."""

import datetime
import sys
import warnings

import numpy as np
import pytest

from ratenet.errors import InputError, UnknownNameError, UnsupportedError
from ratenet.hypotheses import Recording, describe

pynwb = pytest.importorskip("pynwb")
RATES = np.arange(60.0).reshape(20, 3) / 10
SERIES = "processing/ophys/DfOverF/RoiResponseSeries"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("nwb") / "session.nwb"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pynwb.NWBHDF5IO(path, "w") as io:
            io.write(_session())
    return path


def _session():
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    nwb = pynwb.NWBFile("two-photon", "id", start)
    nwb.subject = pynwb.file.Subject(subject_id="mouse 7", species="Mus musculus", age="P60D")
    device = nwb.create_device(name="microscope")
    channel = pynwb.ophys.OpticalChannel(name="c", description="d", emission_lambda=500.0)
    plane = nwb.create_imaging_plane(
        name="plane", optical_channel=channel, description="d", device=device,
        excitation_lambda=900.0, indicator="GCaMP", location="V1",
    )  # fmt: skip
    masks = pynwb.ophys.ImageSegmentation()
    module = nwb.create_processing_module(name="ophys", description="d")
    module.add(masks)
    rois = masks.create_plane_segmentation(name="cells", description="d", imaging_plane=plane)
    for number in range(3):
        rois.add_roi(image_mask=np.ones((2, 2)), id=10 + number)
    region = rois.create_roi_table_region(description="all", region=[0, 1, 2])
    module.add(
        pynwb.ophys.DfOverF(
            roi_response_series=pynwb.ophys.RoiResponseSeries(
                name="RoiResponseSeries", data=RATES, unit="dF/F", rois=region, rate=10.0,
                starting_time=5.0, conversion=2.0,
            )
        )
    )  # fmt: skip
    for name, unit, data, time in (
        ("voltage", "volts", np.ones(20), np.arange(20.0)),
        ("firing", "1/ms", np.full((4, 2), 0.01), [5.0, 5.1, 5.3, 5.4]),
        ("negative", "Hz", -np.ones((4, 2)), [5.0, 5.1, 5.3, 5.4]),
        ("backwards", "dF/F", np.ones((3, 2)), [5.0, 5.2, 5.1]),
        ("speed", "cm/s", np.arange(3.0), [4.0, 5.5, 6.0]),
        ("synapses", "a.u.", np.arange(18.0).reshape(2, 3, 3), [5.05, 6.0]),
    ):
        series = pynwb.TimeSeries(name=name, data=data, unit=unit, timestamps=np.array(time))
        nwb.add_acquisition(series)
    nwb.add_trial_column(name="outcome", description="d")
    nwb.add_trial(start_time=5.0, stop_time=5.5, outcome="hit")
    nwb.add_trial(start_time=6.0, stop_time=6.5, outcome="miss")
    shown = pynwb.epoch.TimeIntervals(name="presentations", description="d")
    shown.add_column(name="image", description="d")
    for start_time, image in ((5.0, "zebra"), (5.5, "apple"), (6.0, "zebra")):
        shown.add_interval(start_time=start_time, stop_time=start_time + 0.4, image=image)
    nwb.add_time_intervals(shown)
    return nwb


def test_rates_come_with_times_unit_conversion_and_names(file):
    found = Recording.load(file, rates=SERIES)
    np.testing.assert_allclose(found.rates, 2 * RATES)
    np.testing.assert_allclose(found.time, 5 + np.arange(20) / 10)
    assert (found.rate_unit, found.names, found.animal) == ("dF/F", ("10", "11", "12"), "mouse 7")


def test_stimuli_and_outcomes_are_those_of_the_intervals(file):
    found = Recording.from_nwb(
        file,
        rates="RoiResponseSeries",  # the end of the path
        stimulus="intervals/presentations/image",
        signals={"reward": "trials/outcome=hit", "speed": "acquisition/speed"},
    )
    zebra, apple, none = [1.0] * 4, [0.0] * 4, [np.nan]
    shown = np.array([*zebra, *none, *apple, *none, *zebra, *none * 6])
    np.testing.assert_array_equal(found.stimulus, shown)
    np.testing.assert_array_equal(found.signals["reward"], [1.0] * 5 + [0.0] * 15)
    np.testing.assert_array_equal(found.signals["speed"], [0.0] * 5 + [1.0] * 5 + [2.0] * 10)


def test_weights_stand_at_the_first_row_after_they_were_measured(file):
    found = Recording.from_nwb(file, SERIES, weights="acquisition/synapses")
    rows = np.nonzero(~np.isnan(found.weights[:, 0, 0]))[0]
    assert rows.tolist() == [1, 10]
    np.testing.assert_array_equal(found.weights[10], np.arange(9.0, 18).reshape(3, 3))


def test_timestamps_and_units_of_frequency_are_taken_over(file):
    found = Recording.from_nwb(file, "acquisition/firing")
    assert found.rate_unit == "Hz"
    np.testing.assert_allclose(found.rates, 10.0)
    np.testing.assert_allclose(found.time, [5.0, 5.1, 5.3, 5.4])


@pytest.mark.parametrize(
    ("paths", "kind", "sentence"),
    [
        ({}, UnknownNameError, f"rates: Unknown path ''.*available: .*{SERIES}"),
        ({"rates": "processing/x"}, UnknownNameError, f"rates: Unknown path .*{SERIES}"),
        ({"rates": "acquisition/voltage"}, InputError, "expected a unit of rates"),
        ({"rates": "acquisition/negative"}, InputError, "expected rates of at least 0 Hz"),
        ({"rates": "backwards"}, InputError, "expected increasing times, got 5.1 after 5.2"),
        ({"rates": SERIES, "stimulus": "trials/x"}, UnknownNameError, "stimulus: .*trials/outcome"),
        ({"rates": SERIES, "signals": {"r": "trials/outcome"}}, InputError, "outcome=hit' is 1"),
        ({"rates": SERIES, "signals": {"r": "trials/outcome=x"}}, UnknownNameError, "hit, miss"),
        ({"rates": SERIES, "drive": "acquisition/firing"}, InputError, r"drive: expected \(T, N\)"),
        ({"rates": SERIES, "signals": "trials"}, InputError, "a dict of paths by name"),
    ],
)
def test_what_is_not_there_or_does_not_fit_is_one_sentence(paths, kind, sentence, file):
    with pytest.raises(kind, match=sentence) as error:
        Recording.load(file, **paths)
    assert "\n" not in str(error.value)


def test_describe_lists_the_paths(file):
    table = describe(file).set_index("name")
    assert table.loc[SERIES, "shape"] == (20, 3)
    assert table.loc[SERIES, "times"] == "5 to 6.9 s"
    assert table.loc["acquisition/voltage", "unit"] == "volts"
    assert table.loc["intervals/trials/outcome", "times"] == "5 to 6.5 s"


def test_without_pynwb_the_sentence_names_what_installs_it(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynwb", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'ratenet\[nwb\]'"):
        Recording.load(file, rates=SERIES)


def test_a_truncated_file_is_one_sentence(file, tmp_path):
    part = tmp_path / "part.nwb"
    part.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(OSError, match="cannot be read as NWB") as error:
        Recording.load(part, rates=SERIES)
    assert "\n" not in str(error.value)


def test_times_that_differ_by_rounding_are_the_same(tmp_path):
    file = pynwb.NWBFile("rounding", "id", datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    times, weights = 0.1 * np.arange(20), np.arange(180.0).reshape(20, 3, 3)  # 3 * 0.1 > 0.3
    file.add_acquisition(pynwb.TimeSeries(name="rates", data=RATES, unit="dF/F", rate=10.0))
    for name, data in (("weights", weights), ("speed", times)):
        file.add_acquisition(pynwb.TimeSeries(name=name, data=data, unit="", timestamps=times))
    file.add_trial_column(name="reward", description="d")
    for start in times[::2]:
        file.add_trial(start_time=start, stop_time=start + 0.1, reward=1.0)
    path = tmp_path / "rounding.nwb"
    with warnings.catch_warnings(), pynwb.NWBHDF5IO(path, "w") as io:
        warnings.simplefilter("ignore")
        io.write(file)
    found = Recording.load(
        path,
        rates="rates",
        weights="weights",
        signals={"speed": "speed", "reward": "trials/reward"},
    )
    np.testing.assert_array_equal(found.weights, weights)
    np.testing.assert_array_equal(found.signals["speed"], times)
    np.testing.assert_array_equal(found.signals["reward"], np.arange(20) % 2 == 0)

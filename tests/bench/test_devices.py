"""Readers of machines, on trees of files laid out as real devices have them; nothing is guessed."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from file_tree import tree

from osnet_edge.bench.devices.jetson import read_jetson
from osnet_edge.bench.devices.meter import counting_meter, open_meters, sampling_meter
from osnet_edge.bench.devices.nvml import open_nvml
from osnet_edge.bench.devices.rails import find_rails, module_rails
from osnet_edge.bench.devices.rapl import find_packages
from osnet_edge.bench.devices.sysfs import NOT_AVAILABLE
from osnet_edge.bench.devices.throttle import throttle_marks

HWMON = "sys/class/hwmon/hwmon"
#: A Jetson Orin Nano under JetPack 6: hwmon's ina3221, a pwm fan, devfreq's gpu.
ORIN_NANO = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64",
    "var/lib/dpkg/status": "Package: bash\nStatus: install ok installed\nVersion: 5.1\n\n"
    "Package: nvidia-jetpack\nStatus: install ok installed\nArchitecture: arm64\nVersion: 6.2+b77\n",
    "var/lib/nvpmodel/status": "pmode:0002",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n"
    "< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n",
    **{f"sys/devices/system/cpu/cpu{n}/cpufreq/scaling_min_freq": "1728000\n" for n in range(2)},
    **{f"sys/devices/system/cpu/cpu{n}/cpufreq/scaling_max_freq": "1728000\n" for n in range(2)},
    "sys/class/devfreq/17000000.gpu/min_freq": "1020000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "1020000000\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "46125\n",
    "sys/class/thermal/thermal_zone1/type": "cv0-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "-256000\n",
    f"{HWMON}0/name": "pwmfan\n",
    f"{HWMON}0/pwm1": "77\n",
    f"{HWMON}3/name": "ina3221\n",
    f"{HWMON}3/in1_label": "VDD_IN\n",
    f"{HWMON}3/in1_input": "4968\n",
    f"{HWMON}3/curr1_input": "1520\n",
    f"{HWMON}3/in2_label": "VDD_CPU_GPU_CV\n",
    f"{HWMON}3/in2_input": "4960\n",
    f"{HWMON}3/curr2_input": "1784\n",
    f"{HWMON}3/in3_label": "NC\n",
    f"{HWMON}3/in3_input": "0\n",
    f"{HWMON}3/curr3_input": "0\n",
    f"{HWMON}3/in7_label": "sum of shunt voltages\n",
    f"{HWMON}3/in7_input": "9\n",
}
I2C = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
#: A first Jetson Nano under JetPack 4: NVIDIA's ina3221x, a fan driver of its own, free clocks.
NANO = {
    "proc/device-tree/model": "NVIDIA Jetson Nano Developer Kit\0",
    "etc/nv_tegra_release": "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64",
    "var/lib/nvpmodel/status": "pmode:0001 fmode:quiet",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq": "102000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "1479000\n",
    "sys/devices/pwm-fan/cur_pwm": "0\n",
    f"{I2C}/rail_name_0": "POM_5V_IN\n",
    f"{I2C}/in_power0_input": "2532\n",
    f"{I2C}/rail_name_1": "POM_5V_GPU\n",
    f"{I2C}/in_power1_input": "120\n",
}
#: An AGX Orin has two monitors and no rail for the whole module.
AGX_ORIN = {
    "proc/device-tree/model": "Jetson AGX Orin\0",
    f"{HWMON}1/name": "ina3221",
    f"{HWMON}1/in1_label": "VDD_GPU_SOC",
    f"{HWMON}1/in1_input": "5000",
    f"{HWMON}1/curr1_input": "1000",
    f"{HWMON}1/in2_label": "VDD_CPU_CV",
    f"{HWMON}1/in2_input": "5000",
    f"{HWMON}1/curr2_input": "200",
    f"{HWMON}1/in3_label": "VIN_SYS_5V0",
    f"{HWMON}1/in3_input": "5000",
    f"{HWMON}1/curr3_input": "800",
    f"{HWMON}2/name": "ina3221",
    f"{HWMON}2/in2_label": "VDDQ_VDD2_1V8AO",
    f"{HWMON}2/in2_input": "5000",
    f"{HWMON}2/curr2_input": "300",
}


def test_an_orin_nano_tells_everything(tmp_path: Path) -> None:
    facts = read_jetson(tree(tmp_path, ORIN_NANO), tegrastats=lambda: "VDD_IN 1mW/1mW")
    assert facts is not None
    assert facts.model.startswith("NVIDIA Jetson Orin Nano")
    assert (facts.l4t, facts.jetpack, facts.power_mode) == ("36.4.3", "6.2+b77", "MAXN_SUPER")
    assert (facts.jetson_clocks, facts.fan) == ("on", "30 %")
    # A zone without power says -256 degrees, which nobody wants to read.
    assert facts.temperatures == {"cpu": 46.125}
    # Neither channels that are not connected nor sums of shunt voltages are rails.
    assert facts.rails == pytest.approx({"VDD_IN": 7.551, "VDD_CPU_GPU_CV": 8.849}, abs=1e-3)


def test_a_nano_of_jetpack_4_has_other_files(tmp_path: Path) -> None:
    facts = read_jetson(tree(tmp_path, NANO), tegrastats=lambda: "")
    assert facts is not None
    assert (facts.l4t, facts.jetpack, facts.power_mode) == ("32.7.1", NOT_AVAILABLE, "mode 1")
    assert (facts.jetson_clocks, facts.fan, facts.rails["POM_5V_IN"]) == ("off", "0 %", 2.532)


@pytest.mark.parametrize(
    ("files", "labels"),
    [
        # One rail feeds the module, and the others are parts of it.
        (ORIN_NANO, ["VDD_IN"]),
        (NANO, ["POM_5V_IN"]),
        # Three feed it together.
        (AGX_ORIN, ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"]),
        # A board that nobody knows: a sum may count twice, so there is none.
        ({f"{HWMON}0/name": "ina3221", f"{HWMON}0/in1_label": "VDD_NEW", f"{HWMON}0/in1_input": "5000",
          f"{HWMON}0/curr1_input": "1"}, []),
        # A monitor that does not answer.
        ({f"{HWMON}0/name": "ina3221", f"{HWMON}0/in1_label": "VDD_IN"}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_the_power_of_the_module(tmp_path: Path, files: dict[str, str], labels: list[str]) -> None:
    found = module_rails(find_rails(tree(tmp_path, files)))
    assert [rail.label for rail in found] == labels
    if files is AGX_ORIN:
        assert sum(rail.watts() or 0 for rail in found) == pytest.approx(10)


def test_tegrastats_answers_where_sysfs_is_hidden(tmp_path: Path) -> None:
    files = {"proc/device-tree/model": "NVIDIA Jetson Xavier NX Developer Kit\0"}
    line = "RAM 2448/7764MB CPU [1%@1190,off] GPU@30C CPU@31.5C VDD_IN 4542mW/4000mW VDD_SOC 1286mW/1200mW"
    facts = read_jetson(tree(tmp_path, files), tegrastats=lambda: line)
    assert facts is not None
    assert facts.rails == {"VDD_IN": 4.542, "VDD_SOC": 1.286}
    assert facts.temperatures == {"GPU": 30.0, "CPU": 31.5}
    assert (facts.l4t, facts.power_mode, facts.jetson_clocks) == (NOT_AVAILABLE,) * 3


def test_another_machine_is_no_jetson(tmp_path: Path) -> None:
    other = tree(tmp_path, {"proc/device-tree/model": "Raspberry Pi 5 Model B\0"})
    assert read_jetson(other) is None
    assert read_jetson(tmp_path / "nothing") is None


def rapl(name: str, energy: str | None) -> dict[str, str]:
    files = {"name": name, "max_energy_range_uj": "262143328850", "energy_uj": energy}
    return {key: text for key, text in files.items() if text is not None}


def test_processors_energy_is_counted_by_package(tmp_path: Path) -> None:
    zones = {
        "intel-rapl:0": rapl("package-0", "1000"),
        # Parts of a package are counted in it, and psys counts the packages again.
        "intel-rapl:0:0": rapl("core", "600"),
        "intel-rapl:1": rapl("psys", "5000"),
        # Since Linux 5.10 only root may read it; then it is as if it were not there.
        "intel-rapl:2": rapl("package-1", None),
    }
    for zone, files in zones.items():
        tree(tmp_path / "sys/class/powercap" / zone, files)
    found = find_packages(tmp_path)
    assert [(package.name, package.range_uj) for package in found] == [("package-0", 262143328850)]


def test_a_machine_without_meters_has_none(tmp_path: Path) -> None:
    with open_meters(tmp_path) as meters:
        assert [meter for meter in meters if "NVML" not in meter.source] == []


def test_a_jetsons_meter_sums_its_rails(tmp_path: Path) -> None:
    with open_meters(tree(tmp_path, AGX_ORIN)) as (meter, *_):
        assert meter.source == "module, INA3221 VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0"
        with meter.over() as spent:
            time.sleep(0.05)
    assert spent.watts == pytest.approx(10, rel=0.5)
    assert spent.joules == pytest.approx(10 * spent.seconds, rel=0.5)


def test_a_counter_is_read_before_and_after() -> None:
    readings = iter([100.0, 103.5, None, 7.0])
    meter = counting_meter("x", lambda: next(readings))
    with meter.over() as spent:
        pass
    assert spent.joules == 3.5
    # One that did not answer once tells nothing.
    with meter.over() as spent:
        pass
    assert spent.joules is None
    assert spent.watts is None


def test_a_sensor_that_never_answers_tells_nothing() -> None:
    with sampling_meter("x", [lambda: 5.0, lambda: None]).over() as spent:
        time.sleep(0.03)
    assert spent.joules is None


def test_being_held_back_is_seen_by_its_counters(tmp_path: Path) -> None:
    core = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    event = f"{HWMON}5/oc3_event_cnt"
    before = throttle_marks(tree(tmp_path, {core: "4\n", f"{HWMON}5/name": "soctherm_oc\n", event: "0\n"}))
    assert throttle_marks(tmp_path).since(before) == ()
    after = throttle_marks(tree(tmp_path, {core: "6\n", event: "1\n"}))
    assert after.since(before) == ("a core too hot", "over-current event oc3")


def test_a_jetsons_alerts_are_seen(tmp_path: Path) -> None:
    alert = "sys/class/thermal/cooling_device"
    before = throttle_marks(
        tree(
            tmp_path,
            {
                f"{alert}0/type": "gpu-throttle-alert\n",
                f"{alert}0/cur_state": "0\n",
                # A fan that turns and a governor that saves power hold nothing back.
                f"{alert}1/type": "pwm-fan\n",
                f"{alert}1/cur_state": "3\n",
                f"{alert}2/type": "cpufreq-cpu0\n",
                f"{alert}2/cur_state": "5\n",
            },
        )
    )
    assert throttle_marks(tmp_path).since(before) == ()
    after = throttle_marks(tree(tmp_path, {f"{alert}0/cur_state": "1\n"}))
    assert after.since(before) == ("gpu-throttle-alert",)


def test_a_gpu_that_was_held_back_in_between_is_seen_by_its_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it has come to rest its reasons of the moment are gone."""
    time_held = SimpleNamespace(violationTime=1_000)
    monkeypatch.setitem(sys.modules, "pynvml", Pynvml({"nvmlDeviceGetViolationStatus": time_held}))
    before = throttle_marks(tmp_path)
    assert throttle_marks(tmp_path).since(before) == ()
    time_held.violationTime = 2_000
    assert throttle_marks(tmp_path).since(before) == ("power cap", "thermal", "board limit")


class Pynvml(ModuleType):
    """The few functions of `pynvml` that are asked, answering as an H100 and an older card do."""

    class NVMLError(Exception):
        """What the library raises."""

    def __init__(self, answers: dict[str, object]) -> None:
        super().__init__("pynvml")
        self.answers = answers
        self.nvmlInit = self.nvmlShutdown = lambda: None
        self.nvmlDeviceGetHandleByIndex = lambda index: "handle"

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)

        def answer(*given: object) -> object:
            if name not in self.answers:
                raise self.NVMLError("Not Supported")
            return self.answers[name]

        return answer


def test_a_gpu_tells_through_nvml_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "nvmlDeviceGetName": b"NVIDIA RTX A2000",
        "nvmlSystemGetDriverVersion": "550.54",
        "nvmlDeviceGetClockInfo": 1200,
        "nvmlDeviceGetPowerManagementLimit": 70_000,
        "nvmlDeviceGetCurrentClocksThrottleReasons": 0x4 | 0x1,
        "nvmlDeviceGetTotalEnergyConsumption": 5_000,
        "nvmlDeviceGetComputeRunningProcesses": [
            SimpleNamespace(pid=70, usedGpuMemory=900_000_000),
            SimpleNamespace(pid=71, usedGpuMemory=300_000_000),
        ],
    }
    monkeypatch.setitem(sys.modules, "pynvml", Pynvml(answers))
    with open_nvml() as nvml:
        assert nvml is not None
        facts = nvml.facts()
        assert (facts.name, facts.driver, facts.power_limit_w) == ("NVIDIA RTX A2000", "550.54", 70.0)
        # An idle clock is no throttling; a power cap is.
        assert facts.throttled == ("power cap",)
        assert facts.temperature_c is None
        assert nvml.joules() == 5.0
        assert nvml.watts() is None
        # Of this process alone, since every engine has one; another driver's numbers hide it.
        assert nvml.memory_of(71) == 300_000_000
        assert nvml.memory_of(72) is None


def test_without_nvml_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with open_nvml() as nvml:
        assert nvml is None


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
def test_tegrastats_is_run_for_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from osnet_edge.bench.devices.tegrastats import read_line

    program = tmp_path / "tegrastats"
    program.write_text("#!/bin/sh\necho VDD_IN 4542mW/4000mW\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert read_line(0.5) == "VDD_IN 4542mW/4000mW"
    monkeypatch.setenv("PATH", "")
    assert read_line(0.1) == ""

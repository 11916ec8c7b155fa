"""Options of the pilot device."""

from __future__ import annotations

from dataclasses import dataclass

from hal.drivers.linux_pilot.adc import MAX_SAMPLE_US, Converter, sample_us
from hal.drivers.linux_pilot.sensors import Sensor
from hal.options import option


def _check_pwm(place: str) -> str:
    chip, _, channel = place.rpartition(":")
    if not chip.startswith("/") or not channel.isdigit():
        return "write the chip's folder and the output, like /sys/class/pwm/pwmchip0:0"
    return ""


@dataclass(frozen=True, slots=True)
class LinuxPilotOptions:
    pwm: str = option(
        help="hardware PWM: folder of the chip (one * may stand for its number), colon, output",
        exclusive="PWM output",
        check=_check_pwm,
    )
    spi: str = option(help="node of the converter, like /dev/spidev0.0", exclusive="SPI device")
    inverted: bool = option(False, help="the output stage turns the PWM around: low is +12 V")
    adc: Converter = option(Converter.MCP3208, help="mcp3208 (12 bit) or mcp3008 (10 bit)")
    spi_speed_hz: int = option(
        1_000_000,
        help="SPI clock; the converter's data sheet limits it by its supply",
        unit="Hz",
        ge=100_000,
        le=4_000_000,
    )
    burst_ms: float = option(1.6, help="how long one burst of conversions lasts", unit="ms", ge=1.1, le=2.0)
    reference_v: float = option(3.3, help="the converter's reference", unit="V", ge=1, le=6)
    channel: int = option(0, help="channel of the pilot", ge=0, le=7)
    scale: float = option(8.197, help="pilot volts per volt at the converter", ge=1, le=100)
    zero_v: float = option(1.713, help="volts at the converter when the pilot is at 0 V", unit="V", ge=0, le=5)
    proximity_channel: int | None = option(None, help="channel of the proximity contact; left out: none", ge=0, le=7)
    proximity_pull_up_ohm: float = option(
        1000.0, help="from the proximity contact to the reference", unit="Ω", ge=100, le=100_000
    )
    temperature_channel: int | None = option(None, help="channel of a temperature sensor; left out: none", ge=0, le=7)
    temperature_sensor: Sensor = option(Sensor.NTC, help="ntc or pt1000")
    temperature_pull_up_ohm: float = option(
        10_000.0, help="from the sensor to the reference", unit="Ω", ge=100, le=1_000_000
    )
    ntc_ohm: float = option(10_000.0, help="resistance of the NTC at 25 °C", unit="Ω", ge=100, le=1_000_000)
    ntc_beta: float = option(3950.0, help="B value of the NTC", unit="K", ge=1000, le=10_000)

    def __post_init__(self) -> None:
        used = [
            number for number in (self.channel, self.proximity_channel, self.temperature_channel) if number is not None
        ]
        if len(set(used)) < len(used):
            raise ValueError("channel, proximity_channel and temperature_channel must differ")
        if sample_us(self.spi_speed_hz) > MAX_SAMPLE_US:
            slowest = 24e6 / MAX_SAMPLE_US
            raise ValueError(
                f"spi_speed_hz: {self.spi_speed_hz} is too slow to see both half-waves of the pilot;"
                f" give {slowest:.0f} or more, as the converter allows"
            )

"""What a region decides: currency, languages, mains, residual-current rule, open PEN, time zone. Data, with sources.

A region proposes; an answer that says otherwise wins. Values marked R in ``sources`` are recalled from general
knowledge, not read in a standard: the installer's measurement at the terminals decides.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Region:
    """``mains``: what stands at the outlet's terminals in volt (line to neutral, or between the two lines of a split
    phase), usual ones first. More than one: somebody must say which."""

    code: str
    """ISO 3166-1 alpha-2."""
    name: str
    currency: str
    """ISO 4217."""
    minor_digits: int
    """Decimals of the currency (ISO 4217)."""
    languages: tuple[str, ...]
    """ISO 639-1, the usual one first."""
    mains: tuple[float, ...]
    hertz: int
    residual_current_profile: str
    open_pen: bool = False
    time_zone: str = ""
    """Empty where a region has several."""
    remark: str = ""
    """For whoever stands at the charge point."""
    sources: str = ""


_MAINS = "mains R (IEC World Plugs; US DoC, Electric Current Abroad)"
_IEC = f"IEC 62955: a trip stays until the plug is pulled; {_MAINS}"
_UL = f"UL 2231-2: automatic reclosing after a trip; {_MAINS}"
_SPLIT = "split phase: give 240 where the meter measures between the lines, 120 where it measures to neutral"


def _us(code: str, name: str, languages: tuple[str, ...], zone: str, mains: tuple[float, ...]) -> Region:
    return Region(code, name, "USD", 2, languages, mains, 60, "us", time_zone=zone, remark=_SPLIT, sources=_UL)


def _europe(code: str, name: str, languages: tuple[str, ...], zone: str, remark: str = "") -> Region:
    return Region(
        code, name, "EUR", 2, languages, (230.0,), 50, "iec", time_zone=zone, remark=remark, sources=f"EN 60038; {_IEC}"
    )


_TABLE = (
    _us("US", "United States", ("en", "es"), "", (240.0, 120.0, 208.0, 277.0)),
    _us("PR", "Puerto Rico", ("es", "en"), "America/Puerto_Rico", (240.0, 120.0, 208.0)),
    _us("VI", "US Virgin Islands", ("en",), "America/St_Thomas", (240.0, 120.0)),
    _us("GU", "Guam", ("en",), "Pacific/Guam", (240.0, 120.0)),
    _us("AS", "American Samoa", ("en", "sm"), "Pacific/Pago_Pago", (240.0, 120.0)),
    _us("MP", "Northern Mariana Islands", ("en",), "Pacific/Saipan", (240.0, 120.0)),
    _europe("GR", "Greece", ("el",), "Europe/Athens"),
    _europe(
        "BE",
        "Belgium",
        ("nl", "fr", "de"),
        "Europe/Brussels",
        "3 x 230 V without neutral is met here: one phase per vehicle only, installation.phases: 1",
    ),
    _europe("NL", "Netherlands", ("nl",), "Europe/Amsterdam"),
    _europe("IE", "Ireland", ("en", "ga"), "Europe/Dublin"),
    _europe("DE", "Germany", ("de",), "Europe/Berlin"),
    _europe("FR", "France", ("fr",), "Europe/Paris"),
    _europe("ES", "Spain", ("es", "ca", "eu", "gl"), "", "old 127/220 V networks are met here: measure first"),
    Region(
        "GB",
        "United Kingdom",
        "GBP",
        2,
        ("en",),
        (230.0,),
        50,
        "iec",
        open_pen=True,
        time_zone="Europe/London",
        remark="open-PEN monitoring is on; with an earth electrode (TT) it may be switched off",
        sources=f"BS 7671 722.411.4.1; {_IEC}",
    ),
    Region(
        "IL", "Israel", "ILS", 2, ("he", "ar"), (230.0,), 50, "iec", time_zone="Asia/Jerusalem", sources=_IEC
    ),
    Region(
        "MX", "Mexico", "MXN", 2, ("es",), (127.0, 220.0), 60, "iec", remark="127 to neutral, 220 between lines",
        sources=_IEC,
    ),
    Region("CL", "Chile", "CLP", 0, ("es",), (220.0,), 50, "iec", sources=f"SEC RIC N°15; {_IEC}"),
    Region(
        "SV", "El Salvador", "USD", 2, ("es",), (120.0, 240.0), 60, "iec", time_zone="America/El_Salvador",
        remark=_SPLIT, sources=_IEC,
    ),
    Region(
        "GT", "Guatemala", "GTQ", 2, ("es",), (120.0, 240.0), 60, "iec", time_zone="America/Guatemala",
        remark=_SPLIT, sources=_IEC,
    ),
    Region(
        "UY", "Uruguay", "UYU", 2, ("es",), (220.0,), 50, "iec", time_zone="America/Montevideo",
        remark="3 x 220 V without neutral is met here: one phase per vehicle only, installation.phases: 1",
        sources=f"Decreto 225/2022; {_IEC}",
    ),
    Region(
        "CR", "Costa Rica", "CRC", 2, ("es",), (120.0, 240.0), 60, "iec", time_zone="America/Costa_Rica",
        remark=_SPLIT, sources=_IEC,
    ),
    Region(
        "PA", "Panama", "PAB", 2, ("es",), (120.0, 240.0), 60, "iec", time_zone="America/Panama", remark=_SPLIT,
        sources=_IEC,
    ),
    Region(
        "CO", "Colombia", "COP", 2, ("es",), (120.0, 208.0, 240.0), 60, "iec", time_zone="America/Bogota",
        remark=_SPLIT, sources=_IEC,
    ),
    Region(
        "BR", "Brazil", "BRL", 2, ("pt",), (127.0, 220.0), 60, "iec",
        remark="127 V and 220 V to neutral are both met here: measure first", sources=f"ABNT NBR 17019; {_IEC}",
    ),
    Region(
        "JM", "Jamaica", "JMD", 2, ("en",), (110.0, 220.0), 50, "iec", time_zone="America/Jamaica", remark=_SPLIT,
        sources=_IEC,
    ),
    Region(
        "AW", "Aruba", "AWG", 2, ("nl", "pap"), (127.0, 220.0), 60, "iec", time_zone="America/Aruba",
        remark="127 to neutral, 220 between lines", sources=_IEC,
    ),
    Region(
        "DO", "Dominican Republic", "DOP", 2, ("es",), (120.0, 240.0), 60, "iec", time_zone="America/Santo_Domingo",
        remark=_SPLIT, sources=_IEC,
    ),
    Region(
        "IN", "India", "INR", 2, ("en", "hi"), (230.0,), 50, "iec", time_zone="Asia/Kolkata",
        sources=f"IS 17017; {_IEC}",
    ),
)  # fmt: skip

REGIONS = {region.code: region for region in _TABLE}

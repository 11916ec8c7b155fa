"""What drivers are shown: prices, costs, languages."""

from __future__ import annotations

from agent.station.settings.setting import Kind, Setting

SETTINGS = (
    Setting("TariffCostCtrlr.Enabled", Kind.BOOLEAN, True, "take and show prices and costs"),
    Setting("TariffCostCtrlr.NumberOfDecimalsForCostValues", Kind.INTEGER, 3, "of amounts that are shown", "", 0, 6),
    Setting("TariffCostCtrlr.DefaultPrice", Kind.STRING, "", "price and text for everybody, as JSON"),
    Setting("TariffCostCtrlr.DefaultPriceTexts", Kind.STRING, "", "such texts by language, as JSON"),
    Setting("TariffCostCtrlr.Currency", Kind.STRING, "", "of prices and costs, three letters (ISO 4217)"),
    Setting("TariffCostCtrlr.TariffFallbackMessage", Kind.STRING, "", "shown where a driver's own price is not known"),
    Setting(
        "TariffCostCtrlr.OfflineTariffFallbackMessage", Kind.STRING, "", "the same while the network is away, if set"
    ),
    Setting("TariffCostCtrlr.TotalCostFallbackMessage", Kind.STRING, "", "shown where the end is not heard of"),
    Setting("TariffCostCtrlr.Enabled[RunningCost]", Kind.BOOLEAN, False, "tell what a charge costs while it goes on"),
    Setting("TariffCostCtrlr.Interval[Cost]", Kind.INTEGER, 300, "between two such costs; 0: none", "s", 0, 86_400),
    Setting("TariffCostCtrlr.IdleFeeAfterStop", Kind.BOOLEAN, False, "idle costs go on until the plug is out"),
    Setting("DisplayMessageCtrlr.MultiLanguage", Kind.BOOLEAN, True, "show texts in the display's language"),
    Setting("DisplayMessageCtrlr.SupportedLanguages", Kind.MEMBERS, ("en",), "of the display", writable=False),
    Setting("DisplayMessageCtrlr.Language", Kind.STRING, "en", "of the display, one of those supported"),
)

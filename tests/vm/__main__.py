"""``python -m tests.vm charger | arm | power-cuts | …``: see docs/testing.md."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.faults.speech import SUBPROTOCOLS, speaking
from tests.vm import campaign, emulation, image, virtual_charger
from tests.vm.place_of_build import MissingError

WHAT = ("image", "charger", "arm", "power-cuts", "chain", "cuts", "migration", "controls")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description="A charger in a virtual machine.")
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--cuts", type=int, default=20, help="cuts of a machine frozen while idle (20)")
    parser.add_argument("--reboots", type=int, default=10, help="cuts after which the machine really boots (10)")
    parser.add_argument("--points", type=int, default=12, help="moments judged for each cut (12)")
    parser.add_argument("--migrations", type=int, default=2, help="cuts during a migration (2)")
    parser.add_argument(
        "--only", choices=campaign.SCENARIOS, nargs="+", help="chain, cuts, controls: while this goes on, nothing else"
    )
    parser.add_argument("--ocpp", choices=SUBPROTOCOLS, default=SUBPROTOCOLS[0], help="spoken with the network")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        with speaking(options.ocpp):
            return asyncio.run(_run(options))
    except MissingError as error:
        sys.stderr.write(f"the virtual charger cannot run here: {error}\n")
        return 3


async def _run(options: argparse.Namespace) -> int:
    if options.what == "image":
        campaign.say(str(image.build()))
        return 0
    if options.what == "charger":
        return min(await virtual_charger.run(campaign.say), 1)
    if options.what == "arm":
        return await asyncio.to_thread(emulation.main)
    good = True
    everything = options.what == "power-cuts"
    points, seed = options.points, options.seed
    scenarios = options.only or campaign.SCENARIOS
    if options.what == "chain" or everything:
        result = await campaign.chain(options.reboots, points, seed, scenarios)
        campaign.note("chain", result)
        verdict = result.verdict
        assert verdict is not None
        good &= not (result.wrong or verdict.lost or verdict.doubled or verdict.wrong or verdict.closed)
    if options.what == "chain":
        return 0 if good else 1
    frozen = await campaign.freeze(seed)
    if options.what == "cuts" or everything:
        good &= not (await campaign.cuts(frozen, options.cuts, points, seed, scenarios)).wrong
    if options.what == "migration" or everything:
        good &= not (await campaign.migration(frozen, options.migrations, points, seed)).wrong
    if options.what == "controls" or everything:
        for name, (scenario, _) in campaign.CONTROLS.items():
            if scenario not in scenarios:
                continue
            if not (await campaign.control(frozen, name, points, seed)).wrong:
                campaign.say(f"{name}: nothing was lost, so the judge is blind")
                good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

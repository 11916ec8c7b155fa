"""The network rotates the PIN of the service port; the PIN itself never crosses the wire."""

from __future__ import annotations

import json

from agent.local import access
from agent.local.access import hashed
from agent.local.login import TABLE
from agent.local.roles import Role
from tests.tc16.rig import Rig, case


async def ask(rig: Rig, **data: object) -> dict[str, object]:
    text = json.dumps(data)
    return await rig.call("DataTransfer", vendorId="org.evse-agent", messageId="SetServicePin", data=text)


@case()
async def test_the_network_rotates_the_pin_by_its_hash(rig: Rig) -> None:
    first, second = hashed("402617"), hashed("771204")
    assert await ask(rig, role="service", hash=first) == {"status": "Accepted"}
    desk = rig.app._local.access
    assert desk._pins.role_of("402617") is Role.SERVICE
    assert await ask(rig, hash=second) == {"status": "Accepted"}
    assert (desk._pins.role_of("402617"), desk._pins.role_of("771204")) == (Role.NONE, Role.SERVICE)
    assert rig.app._journal.kept(TABLE)["pins"] == {"service": second}
    for wrong, why in (
        ({"hash": "402617"}, "give the hash as scrypt"),
        ({"hash": second.replace("$32768$", "$1024$")}, "its cost"),
        ({"hash": second, "role": "root"}, "role must be"),
        ({"hash": 7}, "must be texts"),
        ({"pin": "402617"}, "role and hash"),
    ):
        answer = await ask(rig, **wrong)
        assert answer["status"] == "Rejected"
        assert why in str(answer["data"])
    assert desk._pins.role_of("771204") is Role.SERVICE
    assert access.hash_problem(second) == ""

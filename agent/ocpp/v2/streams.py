"""Periodic event streams (OCPP 2.1 N11 to N15)."""

from __future__ import annotations

from collections.abc import Mapping

from agent.device_model.device import Device
from agent.device_model.streams import Batch
from agent.ocpp.base import Payload
from agent.ocpp.rpc import Outcome, Priority, Result
from agent.ocpp.times import time_text
from agent.ocpp.v2.block import Block, Handler, Talk
from agent.ocpp.v2.device_words import status_info, stream_of, stream_payload


class Streams2(Block):
    def __init__(self, talk: Talk, device: Device) -> None:
        super().__init__(talk)
        self._device = device
        self._streams = device.monitoring.streams

    def handlers(self) -> Mapping[str, Handler]:
        return {"AdjustPeriodicEventStream": self._adjust, "GetPeriodicEventStream": self._get}

    def _get(self, _payload: Payload) -> Payload:
        """N12.FR.01"""
        told = [
            {
                "id": stream.id,
                "variableMonitoringId": stream.monitor,
                "params": stream_payload(stream.parameters),
            }
            for stream in self._streams.open_ones()
        ]
        return {"constantStreamData": told} if told else {}

    def _adjust(self, payload: Payload) -> Payload:
        parameters = stream_of(payload["params"])
        if parameters is not None and self._streams.adjust(payload["id"], parameters):
            return {"status": "Accepted"}  # N14.FR.03
        info = status_info("NotFound", f"no stream {payload['id']} is open that could be sent like this")
        return {"status": "Rejected", "statusInfo": info}  # N14.FR.02

    def offer(self, now: float) -> bool:
        stream = self._streams.to_open()
        if stream is not None:
            number = stream.id
            payload = {
                "constantStreamData": {
                    "id": number,
                    "variableMonitoringId": stream.monitor,
                    "params": stream_payload(stream.parameters),
                }
            }

            def done(outcome: Outcome, now: float) -> None:
                self._answered(number, outcome, now)

            return self._talk.call("OpenPeriodicEventStream", payload, Priority.STATUS, done)  # N11.FR.02
        batch = self._streams.batch(now)
        if batch is not None:
            self._talk.send("NotifyPeriodicEventStream", self._batch(batch))  # N15.FR.01
            return True
        closed = self._streams.to_close()
        return closed is not None and self._talk.call("ClosePeriodicEventStream", {"id": closed})  # N13.FR.01

    def _answered(self, number: int, outcome: Outcome, now: float) -> None:
        if outcome.result is Result.ANSWERED:
            accepted: bool | None = outcome.payload.get("status") == "Accepted"
        else:
            # N11: a network that refuses, or says nothing, gets events; one that went away is asked again.
            accepted = None if outcome.result is Result.LOST else False
        self._streams.answered(number, accepted, now)

    def _batch(self, batch: Batch) -> Payload:
        moment = self._device.moment()
        first_s = batch.values[0][0]
        return {
            "id": batch.stream,
            "pending": batch.pending,
            "basetime": time_text(moment.utc_at(first_s)),  # N15.FR.09
            "data": [{"t": round(at_s - first_s, 3), "v": value[:2500]} for at_s, value in batch.values],
        }

    def next_wake(self) -> float | None:
        return self._streams.next_wake(self._talk.now)

    def online(self, _everything: bool, _now: float) -> None:
        self._streams.carried = True

    def lost(self) -> None:
        self._streams.carried = False

    def renew(self) -> None:
        self._streams.renew()

import { expect, it } from "vitest";
import { NO_COUNTS } from "../../../audit/events.ts";
import { TrafficLines } from "../../../durable/watch/traffic-lines.ts";

const forward = (port: number | null, connections: number, bytes_in: number, errors = 0) => ({
  ...{ port, connections, bytes_in, bytes_out: 2, errors },
  first_error: errors > 0 ? "connection refused" : null,
});

it("says what has changed since the last time, and nothing else", () => {
  const lines = new TrafficLines();
  const next = (...forwards: ReturnType<typeof forward>[]) => lines.next({ traffic: { forwards }, counts: NO_COUNTS });
  expect(next()).toBe("");
  expect(next(forward(80, 1, 0))).toBe("port 80: 1 connection, 0 bytes in, 2 bytes out\n");
  expect(next(forward(80, 1, 0))).toBe("");
  expect(next(forward(80, 2, 7, 1), forward(null, 3, 0))).toBe(
    "port 80: 2 connections, 1 failed (connection refused), 7 bytes in, 2 bytes out\n" +
      "other ports: 3 connections, 0 bytes in, 2 bytes out\n",
  );
});

it("knows the size alone of what cannot be read", () => {
  const lines = new TrafficLines();
  const counts = { ...NO_COUNTS, bytes_in: 5 };
  expect(lines.next({ traffic: {}, counts })).toBe("5 bytes in, 0 bytes out\n");
  expect(lines.next({ traffic: {}, counts })).toBe("");
  const unreadable = { traffic: { forwards: [], unreadable: true as const }, counts: { ...counts, bytes_out: 9 } };
  expect(lines.next(unreadable)).toBe(
    "the traffic does not fit its protocol: from here on only its size is known\n5 bytes in, 9 bytes out\n",
  );
  expect(lines.next(unreadable)).toBe("");
});

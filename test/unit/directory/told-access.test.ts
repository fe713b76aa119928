/** What readers of the stream of requests for access are told. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { LiveRecord } from "../../../contract/live-stream.ts";
import { type OpenRequest, type Teller, ToldAccess } from "../../../durable/directory/tellers.ts";

let open: OpenRequest[] = [];
const list = vi.fn((now: number) => open.filter(({ until }) => now < until));
const requestOf = (id: string, state = "", until = 1_000): OpenRequest => ({
  id,
  until,
  text: JSON.stringify({ id, state }),
});
const shown = (id: string, state = "") => ({ id, state });

/** Sends all that a reader lacks, as long as there is room. */
function read(teller: Teller, now: number, room = Number.POSITIVE_INFINITY): LiveRecord[] {
  const records: LiveRecord[] = [];
  for (const record of teller.lacks(now)) {
    if (records.length >= room) break;
    records.push(record);
  }
  return records;
}

beforeEach(() => {
  open = [];
  list.mockClear();
});

describe("a reader", () => {
  it("is told what is open, also that there is nothing, and then what changes", () => {
    const told = new ToldAccess(list);
    const teller = told.teller();
    expect(read(teller, 1)).toEqual([{ type: "access", requests: [] }]);
    expect(read(teller, 2)).toEqual([]);
    open = [requestOf("b"), requestOf("a")];
    told.changed();
    expect(read(teller, 3)).toEqual([{ type: "access", requests: [shown("b"), shown("a")] }]);
    open = [requestOf("b", "active")];
    told.changed();
    expect(read(teller, 4)).toEqual([
      { type: "access_over", ids: ["a"] },
      { type: "access", requests: [shown("b", "active")] },
    ]);
    told.changed();
    expect(read(teller, 5)).toEqual([]);
    // Another one is told all.
    expect(read(told.teller(), 5)).toEqual([{ type: "access", requests: [shown("b", "active")] }]);
  });

  it("is told what has ended by time, without a report", () => {
    open = [requestOf("a", "", 50), requestOf("b", "", 70)];
    const teller = new ToldAccess(list).teller();
    read(teller, 1);
    expect(read(teller, 49)).toEqual([]);
    expect(list).toHaveBeenCalledTimes(1);
    expect(read(teller, 50)).toEqual([{ type: "access_over", ids: ["a"] }]);
    expect(read(teller, 70)).toEqual([{ type: "access_over", ids: ["b"] }]);
  });

  it("is told the rest once there is room, and nothing twice", () => {
    open = Array.from({ length: 120 }, (_, n) => requestOf(`r${n}`));
    const teller = new ToldAccess(list).teller();
    const records = [1, 2, 3, 4, 5].flatMap((now) => read(teller, now, 1));
    const ids = records.flatMap((record) => (record.type === "access" ? record.requests.map(({ id }) => id) : []));
    expect(ids).toEqual(open.map(({ id }) => id));
    expect(records).toHaveLength(3);
  });

  it("is told long texts in small records, one too long in one of its own", () => {
    const state = "x".repeat(20 * 1024);
    open = [...["a", "b", "c", "d"].map((id) => requestOf(id, state)), requestOf("e", "y".repeat(100 * 1024))];
    const records = read(new ToldAccess(list).teller(), 1);
    const ids = records.map((record) => (record.type === "access" ? record.requests.map(({ id }) => id) : []));
    expect(ids).toEqual([["a", "b"], ["c", "d"], ["e"]]);
  });

  it("is told nothing by a report without a change, and of what comes back", () => {
    open = [requestOf("a"), requestOf("b")];
    const told = new ToldAccess(list);
    const teller = told.teller();
    read(teller, 1);
    open = [requestOf("a"), requestOf("b")];
    told.changed();
    expect(read(teller, 2)).toEqual([]);
    open = [requestOf("b")];
    told.changed();
    read(teller, 3);
    open = [requestOf("a"), requestOf("b")];
    told.changed();
    expect(read(teller, 4)).toEqual([{ type: "access", requests: [shown("a")] }]);
  });

  it("costs one look for all, and another after the clock was set back", () => {
    open = [requestOf("a")];
    const told = new ToldAccess(list);
    const tellers = [told.teller(), told.teller(), told.teller()];
    for (const now of [10, 20]) for (const teller of tellers) read(teller, now);
    expect(list).toHaveBeenCalledTimes(1);
    read(told.teller(), 5);
    expect(list).toHaveBeenCalledTimes(2);
  });
});

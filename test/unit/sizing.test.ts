import { describe, expect, it } from "vitest";
import { PART_BYTES } from "../../durable/recording/policy.ts";
import { Random } from "../../tools/random.ts";
import { ASSUMPTIONS, USAGE_PROFILES } from "../../tools/sizing/assumptions.ts";
import {
  ALARMS_PER_CHANGE_ALONE,
  CALLS_PER_CHANGE_ALONE,
  costOf,
  d1Growth,
  formatNumber,
  millionChanges,
  monthOf,
  rowsOfSession,
  sessionHour,
  total,
} from "../../tools/sizing/cost.ts";
import {
  d1RowsOfEvent,
  d1RowsOfRequest,
  OBJECT_ROWS,
  objectRowsOfSession,
  r2Writes,
} from "../../tools/sizing/facts.ts";
import { d1GbHeld, keepMonthsBelow } from "../../tools/sizing/kept-rows.ts";
import { CASES, directMs, echoMs } from "../../tools/sizing/keystroke.ts";
import { PLATFORM_LIMITS } from "../../tools/sizing/platform.ts";
import { FREE_SEATS, PRICES } from "../../tools/sizing/prices.ts";
import { d1GbPerMonth, documentSize, exampleDocument, loadsOf } from "../../tools/sizing/saturation.ts";
import { simulateDay } from "../../tools/sizing/simulate.ts";
import { SEED } from "../../tools/sizing/tables.ts";
import { loadConfig } from "../../worker/config/load.ts";

const small = { users: 200, clusters: 3, busyness: 1 };

describe("what a session costs in rows", () => {
  it("follows the schema's indexes", () => {
    expect((["start", "connect", "forward", "end"] as const).map(d1RowsOfEvent)).toEqual([4, 2, 2, 3]);
    expect(d1RowsOfRequest()).toBe(5);
    expect(rowsOfSession()).toBe(9);
    expect(objectRowsOfSession({ events: 3, isRecorded: true })).toBe(21);
  });

  it("uploads a small recording at once, a larger one in parts", () => {
    expect([0, 1, PART_BYTES, PART_BYTES + 1, 10 * PART_BYTES].map(r2Writes)).toEqual([0, 1, 1, 4, 12]);
  });

  it("grows D1 by what is written", () => {
    const one = d1Growth(1, 0, 0, 0);
    expect(one.rows).toBe(rowsOfSession());
    expect(d1Growth(10, 0, 0, 0)).toEqual({ events: 30, rows: 10 * one.rows, bytes: 10 * one.bytes });
    // Refused: it never connected.
    expect(d1Growth(0, 0, 1, 0).rows).toBe(d1RowsOfEvent("start") + d1RowsOfEvent("end"));
  });
});

describe("a simulated day", () => {
  it("is the same for the same seed, and different for another", () => {
    expect(simulateDay(small, 1)).toEqual(simulateDay(small, 1));
    expect(simulateDay(small, 2)).not.toEqual(simulateDay(small, 1));
  });

  it("has as many sessions as the usage profiles say, and nobody above the limit", () => {
    const day = simulateDay({ users: 5_000, clusters: 1, busyness: 1 }, SEED);
    const perDay = Object.values(USAGE_PROFILES).reduce((sum, profile) => sum + profile.perDay, 0);
    expect(day.sessions / (5_000 * ASSUMPTIONS.activeShare * perDay)).toBeCloseTo(1, 1);
    expect(day.activeUsers / 5_000).toBeCloseTo(ASSUMPTIONS.activeShare, 1);
    expect(day.peak.objects).toBeLessThanOrEqual(day.peak.sessions + day.activeUsers);
    expect(day.peak.clusterSessions).toBe(day.peak.sessions);
    expect(day.objectSeconds).toBeLessThan(day.sessionSeconds + day.sessions * ASSUMPTIONS.lingerSeconds + 1);
  });

  it("refuses sessions above the limit", () => {
    expect(simulateDay({ ...small, busyness: 1 }, 3).refused).toBeLessThan(10);
    expect(simulateDay({ ...small, busyness: 60 }, 3).refused).toBeGreaterThan(100);
  });

  it("grows with people and with how much they do", () => {
    const [one, many, busy] = [small, { ...small, users: 2_000 }, { ...small, busyness: 3 }].map((scale) =>
      simulateDay(scale, 4),
    );
    for (const key of ["sessions", "objectSeconds", "castBytes", "requests", "messages"] as const) {
      expect(many?.[key]).toBeGreaterThan((one?.[key] ?? 0) * 7);
      expect(busy?.[key]).toBeGreaterThan((one?.[key] ?? 0) * 2);
    }
  });
});

describe("random numbers", () => {
  it("have the distributions that they are asked for", () => {
    const random = new Random(7);
    const many = Array.from({ length: 20_000 });
    const normal = many.map(() => random.normal());
    const mean = normal.reduce((sum, one) => sum + one, 0) / many.length;
    expect(mean).toBeCloseTo(0, 1);
    expect(normal.reduce((sum, one) => sum + one * one, 0) / many.length).toBeCloseTo(1, 1);
    expect(many.filter(() => random.logNormal(300, 1.3) < 300).length / many.length).toBeCloseTo(0.5, 1);
    for (const expected of [0.4, 8, 200]) {
      const counts = many.map(() => random.poisson(expected));
      expect(counts.reduce((sum, one) => sum + one, 0) / many.length / expected).toBeCloseTo(1, 1);
    }
    const places = many.map(() => random.weighted([1, 0, 3]));
    expect(places).not.toContain(1);
    expect(places.filter((place) => place === 2).length / many.length).toBeCloseTo(0.75, 1);
  });
});

describe("the bill", () => {
  it("charges what exceeds the included amount; for one more, everything", () => {
    const quantity = { id: "objectRequests", amount: 3_000_000, arithmetic: "" } as const;
    expect(total(costOf([quantity]))).toBeCloseTo(0.3);
    expect(total(costOf([quantity], true))).toBeCloseTo(0.45);
    expect(total(costOf([{ ...quantity, amount: 999_999 }]))).toBe(0);
  });

  it("has the price of an object's hour that the platform's own example has", () => {
    const hour = costOf(sessionHour(), true).find(({ id }) => id === "objectGbSeconds");
    expect(hour?.amount).toBeCloseTo(460.8 + 0.128 * ASSUMPTIONS.lingerSeconds);
    expect(hour?.usd).toBeCloseTo(0.0058, 4);
  });

  it("bills the rows of an hour for as long as D1 keeps them, and for leaving", () => {
    const hour = new Map(sessionHour().map(({ id, amount }) => [id, amount]));
    expect(hour.get("d1StorageGb")).toBeCloseTo((d1Growth(1, 0, 0, 0).bytes / 1e9) * ASSUMPTIONS.keepMonths);
    expect(hour.get("d1RowsWritten")).toBe(rowsOfSession() + 3);
  });

  it("bills a million changes for the rows that one writes, the calls that it makes and its alarm", () => {
    const changes = new Map(millionChanges().map(({ id, amount }) => [id, amount / 1e6]));
    const inD1 = d1RowsOfRequest() + 2;
    expect(changes.get("workerRequests")).toBe(1);
    expect(changes.get("objectRequests")).toBe(CALLS_PER_CHANGE_ALONE + ALARMS_PER_CHANGE_ALONE);
    expect(changes.get("objectRowsWritten")).toBe(OBJECT_ROWS.change + OBJECT_ROWS.alarm);
    expect(changes.get("d1RowsWritten")).toBe(inD1);
    // A dollar for each million rows.
    const rows = costOf(millionChanges(), true).filter(({ id }) => id.endsWith("RowsWritten"));
    expect(total(rows)).toBeCloseTo(OBJECT_ROWS.change + OBJECT_ROWS.alarm + inD1);
  });

  it("counts every seat once there are more people than free seats", () => {
    const seatsOf = (users: number) =>
      total(costOf(monthOf(simulateDay({ ...small, users }, 1)).filter(({ id }) => id === "seats")));
    expect(seatsOf(FREE_SEATS)).toBe(0);
    expect(seatsOf(FREE_SEATS + 1)).toBe(7 * (FREE_SEATS + 1));
  });

  it("cites a source for every price and every limit", () => {
    for (const { source } of [...Object.values(PRICES), ...PLATFORM_LIMITS])
      expect(new URL(source).protocol).toBe("https:");
  });
});

describe("what D1 holds once rows leave it", () => {
  it("is what is kept, and the open range of at most 1 GB", () => {
    expect(d1GbHeld(0.04, 12)).toBeCloseTo(0.52);
    expect(d1GbHeld(6, 1)).toBe(7);
  });

  it("decides how many months can be kept", () => {
    expect(keepMonthsBelow(0.5, 6)).toBe(10);
    expect(keepMonthsBelow(6, 10)).toBe(1);
    expect(keepMonthsBelow(9, 10)).toBe(0);
    expect(keepMonthsBelow(0.001, 6)).toBe(120);
  });

  it("is less than 10 GB for 10,000 people", () => {
    const day = simulateDay({ users: 10_000, clusters: 50, busyness: 1 }, SEED);
    expect(keepMonthsBelow(d1GbPerMonth(day), 10)).toBeGreaterThanOrEqual(1);
  });
});

describe("the limits that a deployment reaches", () => {
  it("come the fullest first, with a remedy", () => {
    const loads = loadsOf(simulateDay({ users: 3_000, clusters: 8, busyness: 1 }, SEED));
    expect(loads.map(({ share }) => share)).toEqual(loads.map(({ share }) => share).sort((one, other) => other - one));
    for (const { used, capacity, share, remedy } of loads) {
      expect(share).toBeCloseTo(used / capacity);
      expect(remedy).not.toBe("");
    }
    expect(loads.find(({ id }) => id === "accessHosts")?.share).toBeCloseTo(8 / 5);
  });

  it("assume a configuration that the Worker accepts", () => {
    expect(loadConfig(exampleDocument(50)).clusters).toHaveLength(50);
    expect(documentSize(50).variables).toBe(Math.ceil(documentSize(50).bytes / 5_000));
  });
});

describe("a keystroke's echo", () => {
  it("takes as long with the object at either end, and longer with the object elsewhere", () => {
    for (const { user, cluster, elsewhere } of CASES) {
      expect(echoMs(user, user, cluster)).toBe(echoMs(user, cluster, cluster));
      expect(echoMs(user, elsewhere, cluster)).toBeGreaterThan(echoMs(user, user, cluster));
      expect(echoMs(user, user, cluster)).toBeGreaterThan(directMs(user, cluster));
    }
  });
});

describe("docs/SIZING.md", () => {
  it("shows three significant digits", () => {
    expect([0, 0.00123456, 12.345, 999.4, 1_234.5, 12_345_678].map(formatNumber)).toEqual([
      "0",
      "0.00123",
      "12.3",
      "999",
      "1,230",
      "12,300,000",
    ]);
  });
});

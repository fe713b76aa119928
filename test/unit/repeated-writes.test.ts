import { describe, expect, test } from "vitest";
import type { AuditedRequest } from "../../audit/request-events.ts";
import { RepeatedWrites, SAMPLE_EVERY_MS } from "../../durable/repeated-writes.ts";
import { AUDITED_REQUEST } from "../support/audited-request.ts";

const LEASE: AuditedRequest = {
  ...AUDITED_REQUEST,
  ...{ user: "service:controller.access", method: "PUT", verb: "update", api_group: "coordination.k8s.io" },
  ...{ resource: "leases", namespace: "demo", name: "controller" },
};
const TARGET = { verb: "update", api_group: "coordination.k8s.io", resource: "leases", namespace: "demo" };

/** Of so many writes, one every `everyMs`, which have no row. */
function writes(count: number, everyMs: number, request: AuditedRequest = LEASE, repeated = new RepeatedWrites()) {
  const repetitions = [];
  for (let i = 0; i < count; i++) {
    if (repeated.findRepetition(request, true, i * everyMs)) repetitions.push(i);
  }
  return repetitions;
}

describe("a lease that is renewed", () => {
  test("has ten rows, and then one in an hour", () => {
    const perHour = SAMPLE_EVERY_MS / 2_000;
    const counted = writes(24 * perHour, 2_000);
    expect(24 * perHour - counted.length).toBe(10 + 23);
    expect(counted[0]).toBe(10);
  });

  test("is counted under its own name, and no other one with it", () => {
    const repeated = new RepeatedWrites();
    writes(10, 1, LEASE, repeated);
    expect(repeated.findRepetition(LEASE, true, 20)).toMatchObject({ ...TARGET, name: "controller" });
    const others: Partial<AuditedRequest>[] = [
      { name: "kube-scheduler" },
      { namespace: "kube-system" },
      { cluster: "other" },
      { verb: "patch" },
      { client_address: "198.51.100.7" },
    ];
    for (const other of others) expect(repeated.findRepetition({ ...LEASE, ...other }, true, 20)).toBeUndefined();
  });

  test("is a change like any other where it is deleted, created, acted as somebody else, or with a grant", () => {
    const others: Partial<AuditedRequest>[] = [
      { verb: "delete" },
      { verb: "create" },
      { verb: "deletecollection" },
      { own_kubernetes_user: "alice@example.com", own_kubernetes_groups: [] },
      { grants: ["oncall"] },
      { subresource: "status" },
      { category: "denied" },
      { api_group: "example.com" },
      { api_group: "", resource: "configmaps" },
      { api_group: null, resource: null },
    ];
    for (const other of others) expect(writes(100, 1, { ...LEASE, ...other })).toEqual([]);
  });

  test("is counted without room for a row, but not where it has none yet", () => {
    const repeated = new RepeatedWrites();
    expect(repeated.findRepetition(LEASE, false, 0)).toBeUndefined();
    expect(repeated.findRepetition(LEASE, false, 1)).toMatchObject({ name: "controller" });
    expect(repeated.findRepetition(LEASE, true, 2)).toBeUndefined();
  });
});

test("events are counted by namespace: the name of each is made of the time", () => {
  const repeated = new RepeatedWrites();
  const event = { ...AUDITED_REQUEST, verb: "patch", api_group: "", resource: "events", namespace: "demo" };
  for (let i = 0; i < 10; i++) {
    expect(repeated.findRepetition({ ...event, name: `web.${i}` }, true, i)).toBeUndefined();
  }
  expect(repeated.findRepetition({ ...event, name: "web.10" }, true, 10)).toMatchObject({ name: null });
  expect(repeated.findRepetition({ ...event, namespace: "kube-system" }, true, 11)).toBeUndefined();
});

test("what an object forgets of too many targets has rows again", () => {
  const repeated = new RepeatedWrites();
  writes(20, 1, LEASE, repeated);
  for (let i = 0; i < 1_000; i++) repeated.findRepetition({ ...LEASE, name: `lease-${i}` }, true, 30);
  expect(repeated.findRepetition(LEASE, true, 31)).toBeUndefined();
});

import { describe, expect, it } from "vitest";
import type { WatchRequest } from "../../../contract/watch.ts";
import { standingOf } from "../../../durable/watch/standing.ts";

const ALICE = { user: "alice@example.com", subject: "sub-alice", kubernetesUser: "alice" };

function watcher(
  name: string,
  person: WatchRequest["watcher"]["person"] = { subject: "sub-auditor", kubernetesUsers: ["auditor"] },
): WatchRequest["watcher"] {
  return { name, address: null, country: null, person };
}

describe("who watches a session that must be watched", () => {
  it("counts, if it is somebody else", () => {
    expect(standingOf(ALICE, watcher("auditor@example.com"))).toEqual({ counts: true });
    const withoutSubject = { subject: null, kubernetesUsers: [] };
    expect(standingOf({ ...ALICE, subject: null }, watcher("auditor@example.com", withoutSubject))).toEqual({
      counts: true,
    });
  });

  it.each([
    ["by name", watcher("alice@example.com")],
    ["by name, in other letters", watcher("Alice@EXAMPLE.com")],
    ["by sign-in", watcher("second@example.com", { subject: "sub-alice", kubernetesUsers: ["second"] })],
    ["by the cluster's user", watcher("second@example.com", { subject: "sub-2", kubernetesUsers: ["alice"] })],
    ["by that user in other letters", watcher("second@example.com", { subject: "sub-2", kubernetesUsers: ["ALICE"] })],
    ["at another cluster", watcher("second@example.com", { subject: "sub-2", kubernetesUsers: ["second", "alice"] })],
    ["by name, and no cluster knows them", watcher("alice@example.com", null)],
  ])("does not count for their own: %s", (_, who) => {
    expect(standingOf(ALICE, who)).toEqual({ counts: false, notice: expect.stringContaining("it is your own") });
  });

  it("does not count for their own by a Kubernetes user that both have at other clusters alone", () => {
    const alice = { ...ALICE, kubernetesUsers: ["alice", "root"] };
    const twin = watcher("second@example.com", { subject: "sub-2", kubernetesUsers: ["second", "Root"] });
    expect(standingOf(alice, twin)).toEqual({ counts: false, notice: expect.stringContaining("it is your own") });
    const neighbour = watcher("second@example.com", { subject: "sub-2", kubernetesUsers: ["second", "other"] });
    expect(standingOf(alice, neighbour)).toEqual({ counts: true });
  });

  it("does not count where nobody stands behind it: a service token", () => {
    const notice = expect.stringContaining("by a person");
    expect(standingOf(ALICE, watcher("service:ci", null))).toEqual({ counts: false, notice });
  });
});

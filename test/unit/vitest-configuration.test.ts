/** The test command itself: on a machine with any number of cores. */
import { describe, expect, it } from "vitest";
import configuration from "../../vitest.config.ts";

interface Project {
  readonly test?: {
    readonly name?: unknown;
    readonly maxWorkers?: number | string;
    readonly sequence?: { readonly groupOrder?: number };
  };
}

describe("the projects of one group", () => {
  // vitest starts nothing otherwise. A project without a number of its own has one that follows the cores.
  it("have the same number of workers", () => {
    const { projects = [] } =
      (configuration as { readonly test?: { readonly projects?: readonly Project[] } }).test ?? {};
    expect(projects.map(({ test }) => test?.name)).toEqual(expect.arrayContaining(["unit", "workerd", "e2e"]));
    const workersOf = new Map<number, Set<unknown>>();
    for (const { test } of projects) {
      const group = test?.sequence?.groupOrder ?? 0;
      workersOf.set(group, (workersOf.get(group) ?? new Set()).add(test?.maxWorkers ?? "follows the cores"));
    }
    for (const [group, workers] of workersOf) expect([...workers], `group ${group}`).toHaveLength(1);
  });
});

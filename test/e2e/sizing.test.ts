import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

function run(command: string, ...flags: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["tools/sallyport.js", command, ...flags], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

describe("sallyport sizing", () => {
  it("prints what a size costs and which limit comes first, as text and as JSON", () => {
    const { status, stdout } = run("sizing", "--users", "300", "--clusters", "4");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^300 people, 4 clusters\./);
    expect(stdout).toMatch(/A month costs \$\d+\.\d\d, with seats \$\d+\.\d\d:/);
    const json = JSON.parse(run("sizing", "--users", "300", "--clusters", "4", "--json").stdout);
    expect(json).toMatchObject({ scale: { users: 300, clusters: 4 }, usd: { withSeats: json.usd.usage + 7 * 300 } });
    expect(stdout).toContain(`A month costs $${json.usd.usage.toFixed(2)}`);
    expect(json.loads[0].share).toBe(Math.max(...json.loads.map(({ share }: { share: number }) => share)));
  });

  it("varies with the seed, and refuses what is not a number", () => {
    const usage = (...flags: string[]) => JSON.parse(run("sizing", "--json", ...flags).stdout).usd.usage;
    expect(usage("--seed", "1")).not.toBe(usage("--seed", "2"));
    for (const flags of [
      ["--users", "0"],
      ["--users", "many"],
      ["--users", "1.5"],
      ["--clusters", ""],
      ["--unknown"],
    ]) {
      const { status, stdout, stderr } = run("sizing", ...flags);
      expect([flags, status, stdout]).toEqual([flags, 2, ""]);
      expect(stderr).toContain(flags[0]);
    }
  });
});

describe("sallyport config-reference", () => {
  it("prints every document's fields", () => {
    const { status, stdout } = run("config-reference");
    expect(status).toBe(0);
    for (const field of [
      "`access.teamDomain`",
      "`audit.maxQueuedEvents`",
      "### worker: rule",
      "### deployment: cluster",
    ]) {
      expect(stdout).toContain(field);
    }
  });
});

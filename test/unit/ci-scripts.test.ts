/** The scripts of .ci name modules of the repository, which no compiler checks. */
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";

const MODULE = /import\('(\.\/[^']+)'\)/g;
const FUNCTION = /\$\(program (\w+)\)/g;

const scripts = readdirSync(".ci").map((name) => ({ name, text: readFileSync(`.ci/${name}`, "utf8") }));
const importing = scripts.filter(({ text }) => text.match(MODULE));

describe("the scripts of .ci", () => {
  it("are read: one of them imports modules", () => {
    expect(importing.map(({ name }) => name)).toContain("clients");
  });

  it.each(importing)("call functions that exist: $name", async ({ text }) => {
    const modules = [...text.matchAll(MODULE)].map(([, path]) => import(resolve(path ?? "")) as Promise<object>);
    const exported = Object.assign({}, ...(await Promise.all(modules))) as Record<string, unknown>;
    const called = [...text.matchAll(FUNCTION)].map(([, name]) => name ?? "");
    expect(called).not.toEqual([]);
    for (const name of called) expect(exported[name], name).toBeTypeOf("function");
  });
});

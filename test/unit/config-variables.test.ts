import { describe, expect, it } from "vitest";
import { loadConfig } from "../../worker/config/load.ts";
import { joinConfigVariables, MAX_VARIABLE_BYTES, splitIntoVariables } from "../../worker/config/variables.ts";

const document = (clusters: number) => ({
  access: { teamDomain: "https://example.cloudflareaccess.com", audiences: ["audience"] },
  clusters: Array.from({ length: clusters }, (_, index) => ({
    name: `cluster-${index}`,
    hostnames: [`c${index}.k8s.example.com`],
    binding: `KUBE_API_C${index}`,
    rules: [{ name: "warum? 🔒", match: { kinds: ["exec"] }, action: "refuse", message: "für niemanden 🔒" }],
  })),
  identities: [{ match: { emailDomain: "example.com" }, groups: ["developers"] }],
});

const bytesOf = (text: string) => new TextEncoder().encode(text).length;

describe("a document in several variables", () => {
  it("is the value of the only variable, if there is one", () => {
    const value = document(1);
    expect(joinConfigVariables({ SALLYPORT_CONFIG: value, OTHER: 1 })).toBe(value);
    expect(splitIntoVariables(value)).toEqual({ SALLYPORT_CONFIG: value });
    expect(joinConfigVariables({})).toBeUndefined();
  });

  it("is joined from as many as it needs, none larger than the limit, with no character cut", () => {
    const value = document(50);
    const parts = splitIntoVariables(value);
    expect(Object.keys(parts).length).toBe(Math.ceil(bytesOf(JSON.stringify(value)) / MAX_VARIABLE_BYTES));
    expect(Object.keys(parts).length).toBeGreaterThan(1);
    for (const piece of Object.values(parts)) expect(bytesOf(String(piece))).toBeLessThanOrEqual(MAX_VARIABLE_BYTES);
    expect(loadConfig(joinConfigVariables(parts)).clusters).toHaveLength(50);
    // Every possible border, also within a character of four bytes.
    const text = JSON.stringify({ lock: "a🔒b🔒c" });
    for (let bytes = 4; bytes < bytesOf(text); bytes++) {
      expect(joinConfigVariables(splitIntoVariables({ lock: "a🔒b🔒c" }, bytes))).toBe(text);
    }
  });

  it("is refused if a part is missing or not a string", () => {
    const parts = splitIntoVariables(document(100));
    const without = (name: string) => Object.fromEntries(Object.entries(parts).filter(([other]) => other !== name));
    expect(Object.keys(parts).length).toBeGreaterThan(3);
    for (const name of Object.keys(parts).slice(1)) {
      expect(() => loadConfig(joinConfigVariables(without(name)))).toThrow("not valid JSON");
    }
    expect(() => joinConfigVariables(without("SALLYPORT_CONFIG"))).toThrow("SALLYPORT_CONFIG is not set");
    expect(() => joinConfigVariables({ ...parts, SALLYPORT_CONFIG_3: { a: 1 } })).toThrow(
      "SALLYPORT_CONFIG_3 is not a string",
    );
    expect(() => joinConfigVariables({ ...parts, SALLYPORT_CONFIG: document(1) })).toThrow(
      "SALLYPORT_CONFIG is not a string",
    );
  });

  it("is refused if a longer document left a part behind", () => {
    const [first = "", ...rest] = Object.values(splitIntoVariables(document(50)));
    const short = JSON.stringify(document(1));
    expect(() => loadConfig(joinConfigVariables({ SALLYPORT_CONFIG: short, SALLYPORT_CONFIG_2: rest[0] }))).toThrow(
      "not valid JSON",
    );
    expect(() => loadConfig(joinConfigVariables({ SALLYPORT_CONFIG: short, SALLYPORT_CONFIG_2: first }))).toThrow(
      "not valid JSON",
    );
  });

  it("is refused if no Worker could hold it", () => {
    expect(() => splitIntoVariables(document(3_000))).toThrow(
      /^the configuration document needs \d+ variables of 5000 bytes/,
    );
  });
});

import { expect, it } from "vitest";
import { ConfigError, loadConfig } from "../../worker/config/load.ts";
import { readVariables, writeVariables } from "../../worker/config/variables.ts";

const document = (clusters: number) => ({
  access: { teamDomain: "https://t.cloudflareaccess.com", audiences: ["a"] },
  clusters: Array.from({ length: clusters }, (_, index) => ({
    name: `cluster-${index}`,
    hostnames: [`c${index}.k8s.acme.test`],
    binding: `KUBE_API_${index}`,
    rules: [{ name: `näch-${index} 🚪`, match: { namespaces: [`prod-${index}`] }, action: "allow" as const }],
  })),
  identities: [{ match: { emailDomain: "acme.test" }, groups: ["developers"] }],
});

it("a document that fits is one JSON variable, as it is", () => {
  expect(writeVariables(document(1))).toEqual({ SALLYPORT_CONFIG: document(1) });
  expect(readVariables({ SALLYPORT_CONFIG: document(1) })).toEqual(document(1));
});

it("one of fifty clusters goes on in further variables, none above Cloudflare's 5 KB, and comes back whole", () => {
  const variables = writeVariables(document(50));
  expect(Object.keys(variables).slice(0, 2)).toEqual(["SALLYPORT_CONFIG", "SALLYPORT_CONFIG_2"]);
  for (const text of Object.values(variables)) expect(Buffer.byteLength(text as string)).toBeLessThanOrEqual(5_000);
  expect(loadConfig(readVariables({ ...variables, OTHER: "x" })).clusters).toHaveLength(50);
});

it("one with a part missing is refused, not half used", () => {
  const { SALLYPORT_CONFIG_2: _, ...rest } = writeVariables(document(50));
  expect(() => loadConfig(readVariables(rest))).toThrow(ConfigError);
});

it("its text in one variable still works, and so does none at all", () => {
  expect(readVariables({ SALLYPORT_CONFIG: "{}" })).toBe("{}");
  expect(() => loadConfig(readVariables({}))).toThrow("SALLYPORT_CONFIG is not set");
});

it("one that no Worker can hold is refused before it is deployed", () => {
  expect(() => writeVariables(document(3_000))).toThrow(/a Worker's variables hold 300000/);
});

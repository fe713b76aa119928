import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { CONFIG_DOCUMENTS } from "../../tools/config-reference/documents.ts";
import { jsonSchemaOf, sectionsOf } from "../../tools/config-reference/reference.ts";
import { loadConfig } from "../../worker/config/load.ts";
import { type ConfigInput, configSchema } from "../../worker/config/schema.ts";
import { parseJsonc } from "../support/jsonc.ts";
import { fencedBlocks } from "../support/markdown.ts";

describe("docs/CONFIGURATION.md", () => {
  it.each(CONFIG_DOCUMENTS)("has the meaning of every field of $name", ({ schema }) => {
    const sections = sectionsOf(schema);
    expect(sections.length).toBeGreaterThan(5);
    for (const { id, meaning, fields } of sections) {
      if (id !== "") expect(meaning, id).not.toBe("");
      for (const field of fields) expect(field.meaning, `${id}: ${field.path}`).not.toBe("");
    }
  });

  it("has every field", () => {
    const documented = sectionsOf(configSchema).flatMap(({ id, fields }) => fields.map(({ path }) => `${id}/${path}`));
    for (const path of [
      "/access.groups.getIdentity",
      "/audit.maxQueuedEvents",
      "cluster/binding",
      "cluster/tcpBinding",
      "/portForward",
      "rule/requireReason",
      "identityMatch/posture",
      "requests/secretReads.resources",
      "limits/stallTimeoutSeconds",
      "recordingOfARule/maxBytes",
      "exception/resources",
    ]) {
      expect(documented).toContain(path);
    }
    // As many fields as the JSON Schema has properties.
    const properties = JSON.stringify(jsonSchemaOf(configSchema)).match(/"properties":\{/g)?.length ?? 0;
    expect(properties).toBeGreaterThan(10);
    expect(new Set(documented).size).toBe(documented.length);
    expect(documented.length).toBe(countProperties(jsonSchemaOf(configSchema)));
  });

  it("has defaults, ranges, and the alternatives of unions", () => {
    const schema = z.strictObject({
      count: z.int().min(1).max(9).default(3).describe("How many."),
      mode: z.enum(["on", "off"]).describe("Which."),
      names: z.array(z.string().max(5)).min(1).exactOptional().describe("Who."),
      from: z
        .union([
          z.strictObject({ file: z.string().describe("A path.") }),
          z.strictObject({ url: z.url().describe("A place.") }),
        ])
        .describe("Whence."),
    });
    expect(sectionsOf(schema)[0]?.fields).toEqual([
      {
        path: "count",
        type: "whole number",
        isRequired: false,
        isEither: false,
        default: "3",
        range: "1 to 9",
        meaning: "How many.",
      },
      {
        path: "mode",
        type: '`"on"` or `"off"`',
        isRequired: true,
        isEither: false,
        default: undefined,
        range: "",
        meaning: "Which.",
      },
      {
        ...{ path: "names", type: "list of texts", isRequired: false, isEither: false, default: undefined },
        ...{ range: "not empty, each at most 5 characters", meaning: "Who." },
      },
      {
        path: "from",
        type: "object",
        isRequired: true,
        isEither: false,
        default: undefined,
        range: "",
        meaning: "Whence.",
      },
      {
        path: "from.file",
        type: "text",
        isRequired: true,
        isEither: true,
        default: undefined,
        range: "",
        meaning: "A path.",
      },
      {
        path: "from.url",
        type: "text",
        isRequired: true,
        isEither: true,
        default: undefined,
        range: "a URL",
        meaning: "A place.",
      },
    ]);
  });
});

/** A complete document, for examples that are a part of one. */
const WHOLE: ConfigInput = {
  access: { teamDomain: "https://example.cloudflareaccess.com", audiences: ["audience"] },
  cluster: "production",
  identities: [{ match: { emailDomain: "example.com" }, groups: ["developers"] }],
};

/**
 * Completes an example. It is a whole document, some of its top-level fields (`"rules": […]`), or a sequence
 * of identity rules; its text shows which.
 */
function documentOf(example: string): ConfigInput {
  const text = example.trim();
  if (text.startsWith('"')) {
    const part = parseJsonc(`{${text}}`) as Partial<ConfigInput>;
    if (!part.clusters) return { ...WHOLE, ...part };
    const { cluster: _, ...rest } = WHOLE;
    return { ...rest, ...part };
  }
  if (/^\{\s*"match"/.test(text)) return { ...WHOLE, identities: parseJsonc(`[${text}]`) as ConfigInput["identities"] };
  return parseJsonc(text) as ConfigInput;
}

describe("examples of the Worker's configuration", () => {
  const examples = [
    "docs/GUIDE.md",
    "docs/REFERENCE.md",
    "docs/RUNBOOK.md",
    "docs/CONFIGURATION.md",
    "docs/COMING-FROM.md",
    "README.md",
  ].flatMap((file) =>
    fencedBlocks(readFileSync(file, "utf8"))
      .filter(({ info }) => info === "jsonc")
      .map(({ text }, index) => ({ place: `${file}, example ${index + 1}`, text })),
  );

  it("exist", () => expect(examples.length).toBeGreaterThanOrEqual(5));

  it.each(examples)("$place is valid", ({ text }) => {
    expect(() => loadConfig(documentOf(text))).not.toThrow();
  });

  it("would be refused with a fault", () => {
    for (const { text } of examples) {
      const document = documentOf(text);
      expect(() => loadConfig({ ...document, limits: { idleTimeout: 5 } })).toThrow("idleTimeout");
    }
  });
});

function countProperties(schema: unknown): number {
  if (Array.isArray(schema)) return schema.reduce((sum: number, one) => sum + countProperties(one), 0);
  if (typeof schema !== "object" || schema === null) return 0;
  return Object.entries(schema).reduce(
    (sum, [key, value]) =>
      sum +
      (key === "properties"
        ? Object.entries(value).reduce((own, [, field]) => own + 1 + countProperties(field), 0)
        : key === "default"
          ? 0
          : countProperties(value)),
    0,
  );
}

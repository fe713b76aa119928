import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { STATUS_CODES } from "../../kubernetes/status.ts";
import { denialsOf, openApiDocument } from "../../worker/api/openapi.ts";
import { errorCodeOf } from "../../worker/api/responses.ts";
import type { Route } from "../../worker/api/route.ts";
import { ROUTES } from "../../worker/api/routes.ts";
import { DENIALS } from "../../worker/denials.ts";

interface Operation {
  readonly operationId: string;
  readonly security?: readonly Record<string, readonly string[]>[];
  readonly parameters?: readonly { name: string; in: string; required: boolean; description?: string }[];
  readonly responses: Readonly<Record<string, { description: string }>>;
}

const document = openApiDocument();
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, ...(operation as Operation) })),
);
const operationOf = (name: string) => operations.find(({ operationId }) => operationId === name);

describe("the OpenAPI document", () => {
  it("is valid OpenAPI 3.1, and all of its references lead somewhere", async () => {
    const validator = new Validator();
    expect(await validator.validate(structuredClone(document))).toEqual({ valid: true });
    expect(validator.version).toBe("3.1");
    expect(() => validator.resolveRefs()).not.toThrow();
  });

  it("would not be with a fault in it", async () => {
    const paths = { "/-/healthz": { get: { responses: "none" } } };
    expect(await new Validator().validate({ ...structuredClone(document), paths })).toMatchObject({ valid: false });
  });

  it("has every route, and no other", () => {
    expect(operations.map(({ path, method, operationId }) => `${operationId}: ${method} ${path}`)).toEqual(
      Object.entries<Route>(ROUTES).map(([name, { path, method }]) => `${name}: ${method.toLowerCase()} ${path}`),
    );
  });

  it("names the role that a route requires, and says which need no token", () => {
    expect(operationOf("getHealth")?.security).toEqual([]);
    expect(operationOf("whoami")?.security).toBeUndefined();
    expect(document.security).toEqual([{ access: [] }]);
    expect(operationOf("listSessions")?.security).toEqual([{ access: ["auditor"] }]);
    expect(operationOf("lockUser")?.security).toEqual([{ access: ["admin"] }]);
  });

  it("says of every parameter what it means, and whether it is required", () => {
    for (const { operationId, parameters = [] } of operations) {
      for (const { name, in: place, required, description } of parameters) {
        expect(description, `${operationId}: ${name}`).toMatch(/\.$/);
        expect(required, `${operationId}: ${name}`).toBe(place === "path");
      }
    }
  });

  it.each(Object.entries<Route>(ROUTES))("says with which statuses %s may be refused", (name, route) => {
    const statuses = new Set(denialsOf(route).map((code) => String(STATUS_CODES[DENIALS[code]])));
    if (route.answer.kind === "file" && route.answer.subprotocol !== undefined) statuses.add("101");
    if (route.answer.kind === "file" && route.answer.hasRanges) statuses.add("206");
    expect(new Set(Object.keys(operationOf(name)?.responses ?? {}))).toEqual(statuses.add("200"));
  });

  it("lets answers have further fields, and requests none", () => {
    const text = JSON.stringify(document.components);
    expect(text).not.toContain('"additionalProperties":false');
    expect(JSON.stringify(document.paths["/-/admin/locks/{email}"])).toContain('"additionalProperties":false');
  });
});

describe("docs/API.md", () => {
  const text = readFileSync("docs/API.md", "utf8");

  it("says of every field what it means", () => {
    const rows = text.split("\n").filter((line) => line.startsWith("| `"));
    expect(rows.length).toBeGreaterThan(100);
    expect(rows.filter((row) => /\|\s+\|$/.test(row))).toEqual([]);
  });

  it("names every error code that a route may answer", () => {
    for (const route of Object.values<Route>(ROUTES)) {
      for (const code of denialsOf(route)) expect(text).toContain(`\`${errorCodeOf(code)}\``);
    }
  });
});

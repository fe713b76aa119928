/** The embedded cluster's server-side apply: who has which field, and what becomes of it. */
import { describe, expect, it } from "vitest";
import { applyTo, trackUpdate } from "../../dev/cluster/api/apply.ts";
import { decodeFields, encodeFields, fieldsOf } from "../../dev/cluster/api/field-sets.ts";
import type { KubeObject } from "../../dev/cluster/api/objects.ts";

type Json = Record<string, unknown>;

const stored = (object: Json): KubeObject => {
  const metadata = { uid: "u", resourceVersion: "7", creationTimestamp: "2026-01-01T00:00:00Z" };
  return { ...object, metadata: { ...metadata, ...(object["metadata"] as Json) } } as unknown as KubeObject;
};
const apply = (live: KubeObject | undefined, manager: string, applied: Json, force = false) =>
  stored(applyTo(live, { applied, manager, force }));

const configMap = (data: Json, labels?: Json): Json => ({
  ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c", ...(labels ? { labels } : {}) } },
  data,
});
const deployment = (containers: Json[], more: Json = {}): Json => ({
  ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "d" } },
  spec: { ...more, template: { spec: { containers } } },
});
const containersOf = ({ spec }: KubeObject) =>
  (spec as { template: { spec: { containers: Json[] } } }).template.spec.containers;
const managers = ({ metadata }: KubeObject) =>
  (metadata["managedFields"] as { manager: string; operation: string; fieldsV1: Json }[]).map(
    ({ manager, operation, fieldsV1 }) => [manager, operation, fieldsV1],
  );

describe("what is applied", () => {
  it("is set; what the same manager applied before and does not any more is gone", () => {
    const first = apply(undefined, "helm", configMap({ a: "1", b: "2" }, { team: "x" }));
    const second = apply(first, "helm", configMap({ a: "3" }));
    expect(second["data"]).toEqual({ a: "3" });
    expect(second.metadata).not.toHaveProperty("labels");
    expect(managers(second)).toEqual([["helm", "Apply", { "f:data": { "f:a": {} } }]]);
  });

  it("leaves alone what others have set, and what somebody else applies too", () => {
    const first = apply(undefined, "helm", configMap({ a: "1", shared: "s" }));
    const second = apply(first, "argo", configMap({ shared: "s", b: "2" }));
    expect(apply(second, "helm", configMap({ a: "1" }))["data"]).toEqual({ a: "1", shared: "s", b: "2" });
  });

  it("conflicts where another's field would change, and says whose and which; force takes it", () => {
    const first = apply(undefined, "helm", configMap({ a: "1", b: "2" }));
    const patched = trackUpdate(first, { ...first, data: { a: "9", b: "8" } }, "kubectl-edit");
    expect(() => apply(patched, "helm", configMap({ a: "1", b: "8" }))).toThrow(
      'Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .data.a',
    );
    expect(() => apply(patched, "helm", configMap({ a: "1", b: "2" }))).toThrow(
      'Apply failed with 2 conflicts: conflicts with "kubectl-edit" using v1:\n- .data.a\n- .data.b',
    );
    const forced = apply(patched, "helm", configMap({ a: "1", b: "8" }), true);
    expect(forced["data"]).toEqual({ a: "1", b: "8" });
    expect(managers(forced)).toEqual([
      ["kubectl-edit", "Update", { "f:data": { "f:b": {} } }],
      ["helm", "Apply", { "f:data": { "f:a": {}, "f:b": {} } }],
    ]);
  });

  it("belongs to whoever was before the first apply, where nobody's fields are known", () => {
    const live = stored(configMap({ a: "1" }));
    expect(() => apply(live, "helm", configMap({ a: "2" }))).toThrow('"before-first-apply" using v1: .data.a');
    expect(apply(live, "helm", configMap({ b: "2" }))["data"]).toEqual({ a: "1", b: "2" });
  });

  it("is nothing new when it is applied again", () => {
    const live = apply(undefined, "helm", deployment([{ name: "a", image: "i", ports: [{ containerPort: 80 }] }]));
    const intent = deployment([{ name: "a", image: "i", ports: [{ containerPort: 80 }] }]);
    expect(applyTo(live, { applied: { ...intent, status: {} }, manager: "helm", force: false })).toBe(live);
  });

  it("of lists with keys it sets items: others' stay, its own go when it leaves them out", () => {
    const first = apply(
      undefined,
      "helm",
      deployment([
        { name: "a", image: "1" },
        { name: "b", image: "1" },
      ]),
    );
    const injected = deployment([...containersOf(first), { name: "sidecar", image: "s" }]);
    const second = trackUpdate(first, { ...first, spec: injected["spec"] }, "injector");
    const third = apply(second, "helm", deployment([{ name: "b", image: "2" }]));
    expect(containersOf(third)).toEqual([
      { name: "b", image: "2" },
      { name: "sidecar", image: "s" },
    ]);
  });

  it("an item of which another has a field stays, with its key", () => {
    const first = apply(undefined, "helm", deployment([{ name: "a", image: "1", command: ["x"] }]));
    const second = trackUpdate(first, stored(deployment([{ name: "a", image: "2", command: ["x"] }])), "kubectl-set");
    const kept = { ...second, metadata: { ...second.metadata } };
    expect(containersOf(apply(kept, "helm", deployment([])))).toEqual([{ name: "a", image: "2" }]);
  });

  it("two ports of one number are two by their protocols; a selector is one as a whole", () => {
    const service = (ports: Json[], selector: Json): Json => ({
      ...{ apiVersion: "v1", kind: "Service", metadata: { name: "s" } },
      spec: { ports, selector },
    });
    const first = apply(undefined, "a", service([{ port: 53, name: "t" }], { app: "x", tier: "y" }));
    const second = apply(first, "b", service([{ port: 53, protocol: "UDP", name: "u" }], { app: "x", tier: "y" }));
    expect((second["spec"] as { ports: unknown[] }).ports).toHaveLength(2);
    expect(() => apply(second, "b", service([], { app: "x" }))).toThrow('conflict with "a": .spec.selector');
  });

  it("the same item twice is refused", () => {
    const first = apply(undefined, "helm", deployment([{ name: "a" }]));
    const twice = deployment([{ name: "a" }, { name: "a" }]);
    expect(() => apply(first, "helm", twice)).toThrow("has the same item twice");
  });

  it("keys like __proto__ are keys", () => {
    const data = JSON.parse('{"__proto__":"x","constructor":"y"}') as Json;
    const live = apply(undefined, "helm", configMap(data));
    const next = apply(live, "helm", configMap(JSON.parse('{"__proto__":"z"}') as Json));
    expect(JSON.stringify(next["data"])).toBe('{"__proto__":"z"}');
  });
});

it("an update that says nothing of managers keeps them, an empty list forgets them", () => {
  const live = apply(undefined, "helm", configMap({ a: "1" }));
  const { managedFields: _, ...metadata } = live.metadata;
  expect(managers(trackUpdate(live, { ...live, metadata }, "curl"))).toHaveLength(1);
  const forgotten = trackUpdate(live, { ...live, metadata: { ...metadata, managedFields: [] } }, "curl");
  expect(forgotten.metadata).not.toHaveProperty("managedFields");
});

it("a field set is the same after it was written and read", () => {
  const fields = fieldsOf(deployment([{ name: "a", env: [{ name: "E", value: "" }], args: [] }], { replicas: 1 }));
  expect(new Set(decodeFields(encodeFields(fields)).keys())).toEqual(new Set(fields.keys()));
});
